/*
 * A stand-in for the driver behind /dev/sev-guest, preloaded into a process under test (glibc).
 *
 * The process makes its system calls as ever. Those that concern the device come here: requests are
 * read from the process's memory by the kernel's own header, put to a server over a Unix socket, and
 * answered into that memory as the driver does. All decisions are the server's
 * (nodeproof_dev/sev_guest_shim.py); everything else goes on to the kernel.
 *
 * SEV_GUEST_SHIM names a directory with the server's `socket` and a file `device`, whose descriptor
 * stands for the device's: it can be locked and closed like one.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/sev-guest.h>

#define DEVICE "/dev/sev-guest"
#define DIRECTORY "SEV_GUEST_SHIM"
#define MAX_DESCRIPTORS 1024
#define MAX_CERTIFICATES 0x4000 /* SEV_FW_BLOB_MAX_SIZE of the driver */

/* The ABI that the agent is written for; a header that disagrees does not compile. */
_Static_assert(sizeof(struct snp_report_req) == 96, "snp_report_req");
_Static_assert(offsetof(struct snp_report_req, user_data) == 0, "user_data");
_Static_assert(offsetof(struct snp_report_req, vmpl) == 64, "vmpl");
_Static_assert(offsetof(struct snp_report_req, rsvd) == 68, "rsvd");
_Static_assert(sizeof(struct snp_ext_report_req) == 112, "snp_ext_report_req");
_Static_assert(offsetof(struct snp_ext_report_req, data) == 0, "data");
_Static_assert(offsetof(struct snp_ext_report_req, certs_address) == 96, "certs_address");
_Static_assert(offsetof(struct snp_ext_report_req, certs_len) == 104, "certs_len");
_Static_assert(sizeof(struct snp_report_resp) == 4000, "snp_report_resp");
_Static_assert(sizeof(struct snp_guest_request_ioctl) == 32, "snp_guest_request_ioctl");
_Static_assert(offsetof(struct snp_guest_request_ioctl, msg_version) == 0, "msg_version");
_Static_assert(offsetof(struct snp_guest_request_ioctl, req_data) == 8, "req_data");
_Static_assert(offsetof(struct snp_guest_request_ioctl, resp_data) == 16, "resp_data");
_Static_assert(offsetof(struct snp_guest_request_ioctl, exitinfo2) == 24, "exitinfo2");
_Static_assert(offsetof(struct snp_guest_request_ioctl, fw_error) == 24, "fw_error");
_Static_assert(offsetof(struct snp_guest_request_ioctl, vmm_error) == 28, "vmm_error");
_Static_assert(SNP_GET_REPORT == 0xC0205300, "SNP_GET_REPORT");
_Static_assert(SNP_GET_EXT_REPORT == 0xC0205302, "SNP_GET_EXT_REPORT");
_Static_assert(SNP_GUEST_VMM_ERR_INVALID_LEN == 1, "SNP_GUEST_VMM_ERR_INVALID_LEN");
_Static_assert(SNP_GUEST_VMM_ERR_BUSY == 2, "SNP_GUEST_VMM_ERR_BUSY");

/* The same facts as the header has them, for a test to compare with the agent's. */
struct field {
	const char *structure, *name;
	unsigned long offset, size;
};
#define FIELD(type, member) \
	{ #type, #member, offsetof(struct type, member), sizeof(((struct type *)0)->member) }
const struct field sev_guest_fields[] = {
	FIELD(snp_report_req, user_data),
	FIELD(snp_report_req, vmpl),
	FIELD(snp_report_req, rsvd),
	FIELD(snp_ext_report_req, data),
	FIELD(snp_ext_report_req, certs_address),
	FIELD(snp_ext_report_req, certs_len),
	FIELD(snp_guest_request_ioctl, msg_version),
	FIELD(snp_guest_request_ioctl, req_data),
	FIELD(snp_guest_request_ioctl, resp_data),
	FIELD(snp_guest_request_ioctl, exitinfo2),
	{ "snp_report_req", "", 0, sizeof(struct snp_report_req) },
	{ "snp_ext_report_req", "", 0, sizeof(struct snp_ext_report_req) },
	{ "snp_report_resp", "", 0, sizeof(struct snp_report_resp) },
	{ "snp_guest_request_ioctl", "", 0, sizeof(struct snp_guest_request_ioctl) },
};
const unsigned long sev_guest_field_count = sizeof(sev_guest_fields) / sizeof(struct field);
const unsigned long sev_guest_get_report = SNP_GET_REPORT;
const unsigned long sev_guest_get_ext_report = SNP_GET_EXT_REPORT;

/* What goes over the socket, one packet each way; laid out without holes. */
enum { OPEN = 0, GET_REPORT = 1, GET_EXT_REPORT = 2, UNKNOWN = 3 };
struct question {
	uint32_t number, msg_version;
	uint64_t req_data, resp_data;
	uint8_t user_data[64];
	uint32_t vmpl, certs_len;
	uint64_t certs_address;
	uint32_t rsvd_used, pad;
};
struct answer {
	int32_t error;
	uint32_t certs_len;
	uint64_t exitinfo2;
	uint32_t response_size, certificates_size;
	uint8_t data[sizeof(struct snp_report_resp) + MAX_CERTIFICATES];
};
_Static_assert(sizeof(struct question) == 112, "question");
_Static_assert(offsetof(struct answer, data) == 24, "answer");

static unsigned char is_device[MAX_DESCRIPTORS];

/* Returns the C library's own function, which ours hides. */
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int fail(int error)
{
	errno = error;
	return -1;
}

static int connected(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int server;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", getenv(DIRECTORY));
	server = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (server < 0)
		return -1;
	if (connect(server, (struct sockaddr *)&address, sizeof(address))) {
		REAL(close)(server);
		return -1;
	}
	return server;
}

/* Puts a question; a server that is not there is a driver that was unloaded. */
static int ask(const struct question *question, struct answer *answer)
{
	int server = connected();
	ssize_t size;

	if (server < 0)
		return fail(ENXIO);
	size = send(server, question, sizeof(*question), MSG_NOSIGNAL);
	if (size == sizeof(*question))
		size = recv(server, answer, sizeof(*answer), 0);
	REAL(close)(server);
	if (size < (ssize_t)offsetof(struct answer, data))
		return fail(ENXIO);
	if (answer->response_size + answer->certificates_size > sizeof(answer->data))
		abort();
	return 0;
}

static int concerns_device(const char *path)
{
	return getenv(DIRECTORY) && !strcmp(path, DEVICE);
}

static int open_device(int flags)
{
	struct question question = { .number = OPEN };
	struct answer answer;
	char path[4096];
	int device;

	if (ask(&question, &answer))
		return -1;
	if (answer.error)
		return fail(answer.error);
	snprintf(path, sizeof(path), "%s/device", getenv(DIRECTORY));
	device = REAL(open)(path, flags & (O_ACCMODE | O_CLOEXEC));
	if (device >= MAX_DESCRIPTORS)
		abort();
	if (device >= 0)
		is_device[device] = 1;
	return device;
}

/* copy_from_user() of get_report() and get_ext_report(). */
static void read_request(struct question *question)
{
	struct snp_ext_report_req request = { 0 };
	size_t size = question->number == GET_EXT_REPORT ? sizeof(request) : sizeof(request.data);

	memcpy(&request, (const void *)(uintptr_t)question->req_data, size);
	memcpy(question->user_data, request.data.user_data, sizeof(question->user_data));
	question->vmpl = request.data.vmpl;
	for (size_t each = 0; each < sizeof(request.data.rsvd); each++)
		question->rsvd_used |= request.data.rsvd[each];
	question->certs_address = request.certs_address;
	question->certs_len = request.certs_len;
}

/* copy_to_user() of the same, and of snp_guest_ioctl(). */
static void write_answer(const struct question *question, const struct answer *answer,
			 struct snp_guest_request_ioctl *argument)
{
	struct snp_ext_report_req *extended = (void *)(uintptr_t)question->req_data;

	if (answer->exitinfo2)
		argument->exitinfo2 = answer->exitinfo2;
	if (argument->vmm_error == SNP_GUEST_VMM_ERR_INVALID_LEN && question->number == GET_EXT_REPORT)
		extended->certs_len = answer->certs_len;
	memcpy((void *)(uintptr_t)question->resp_data, answer->data, answer->response_size);
	if (answer->certificates_size)
		memcpy((void *)(uintptr_t)question->certs_address,
		       answer->data + answer->response_size, answer->certificates_size);
}

static int ioctl_device(unsigned long request, struct snp_guest_request_ioctl *argument)
{
	struct question question = {
		.number = request == SNP_GET_REPORT	? GET_REPORT :
			  request == SNP_GET_EXT_REPORT ? GET_EXT_REPORT :
							  UNKNOWN,
		.msg_version = argument->msg_version,
		.req_data = argument->req_data,
		.resp_data = argument->resp_data,
	};
	struct answer answer;

	if (question.number != UNKNOWN && question.req_data && question.resp_data)
		read_request(&question);
	if (ask(&question, &answer))
		return -1;
	write_answer(&question, &answer, argument);
	return answer.error ? fail(answer.error) : 0;
}

#define MODE_OF(flags, mode)                                       \
	do {                                                       \
		va_list rest;                                      \
		va_start(rest, flags);                             \
		if ((flags) & (O_CREAT | __O_TMPFILE))             \
			(mode) = va_arg(rest, mode_t);             \
		va_end(rest);                                      \
	} while (0)

int open(const char *path, int flags, ...)
{
	mode_t mode = 0;

	MODE_OF(flags, mode);
	return concerns_device(path) ? open_device(flags) : REAL(open)(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
	mode_t mode = 0;

	MODE_OF(flags, mode);
	return concerns_device(path) ? open_device(flags) : REAL(open64)(path, flags, mode);
}

int openat(int directory, const char *path, int flags, ...)
{
	mode_t mode = 0;

	MODE_OF(flags, mode);
	return concerns_device(path) ? open_device(flags) :
				       REAL(openat)(directory, path, flags, mode);
}

int openat64(int directory, const char *path, int flags, ...)
{
	mode_t mode = 0;

	MODE_OF(flags, mode);
	return concerns_device(path) ? open_device(flags) :
				       REAL(openat64)(directory, path, flags, mode);
}

int ioctl(int descriptor, unsigned long request, ...)
{
	va_list rest;
	void *argument;

	va_start(rest, request);
	argument = va_arg(rest, void *);
	va_end(rest);
	if (descriptor >= 0 && descriptor < MAX_DESCRIPTORS && is_device[descriptor])
		return ioctl_device((unsigned int)request, argument);
	return REAL(ioctl)(descriptor, request, argument);
}

int close(int descriptor)
{
	if (descriptor >= 0 && descriptor < MAX_DESCRIPTORS)
		is_device[descriptor] = 0;
	return REAL(close)(descriptor);
}
