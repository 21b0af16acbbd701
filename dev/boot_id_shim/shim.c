/*
 * Lets a process under test read a boot ID of its own, preloaded into it (glibc).
 *
 * BOOT_ID_FILE names the file that is opened wherever the process opens the kernel's; everything
 * else goes on, to another preloaded library if there is one.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define KERNELS "/proc/sys/kernel/random/boot_id"
#define OURS "BOOT_ID_FILE"

/* Returns the function that ours hides. */
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static const char *instead_of(const char *path)
{
	const char *file = getenv(OURS);

	return file && !strcmp(path, KERNELS) ? file : path;
}

#define MODE_OF(flags, mode)                           \
	do {                                           \
		va_list rest;                          \
		va_start(rest, flags);                 \
		if ((flags) & (O_CREAT | __O_TMPFILE)) \
			(mode) = va_arg(rest, mode_t); \
		va_end(rest);                          \
	} while (0)

int open(const char *path, int flags, ...)
{
	mode_t mode = 0;

	MODE_OF(flags, mode);
	return REAL(open)(instead_of(path), flags, mode);
}

int open64(const char *path, int flags, ...)
{
	mode_t mode = 0;

	MODE_OF(flags, mode);
	return REAL(open64)(instead_of(path), flags, mode);
}

int openat(int directory, const char *path, int flags, ...)
{
	mode_t mode = 0;

	MODE_OF(flags, mode);
	return REAL(openat)(directory, instead_of(path), flags, mode);
}

int openat64(int directory, const char *path, int flags, ...)
{
	mode_t mode = 0;

	MODE_OF(flags, mode);
	return REAL(openat64)(directory, instead_of(path), flags, mode);
}
