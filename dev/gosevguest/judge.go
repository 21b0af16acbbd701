package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/go-sev-guest/abi"
	"github.com/google/go-sev-guest/kds"
	"github.com/google/go-sev-guest/proto/sevsnp"
	"github.com/google/go-sev-guest/validate"
	"github.com/google/go-sev-guest/verify"
	"github.com/google/go-sev-guest/verify/trust"
)

// roots is what the library takes as trusted: intermediates and roots by product.
type roots map[string][]*trust.AMDRootCerts

// guarded is the verdict; a panic of the library is an error like any other.
func guarded(asked question) (err error) {
	defer func() {
		if trouble := recover(); trouble != nil {
			err = fmt.Errorf("panic: %v", trouble)
		}
	}()
	trusted, err := trustedRoots(asked)
	if err != nil {
		return err
	}
	return judge(asked, trusted)
}

// judge does what a user of the library does with evidence that came in: read it, verify it, and
// hold the VEK's chip and TCB against the report's, which is left to validate.
func judge(asked question, trusted roots) error {
	report, err := abi.ReportToProto(asked.Report)
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	vek := asked.Certificates[0]
	evidence := &sevsnp.Attestation{
		Report: report,
		// Who hands out the certificates also says which kind they are: either may be taken.
		CertificateChain: &sevsnp.CertificateChain{VcekCert: vek, VlekCert: vek},
	}
	options, err := verifyOptions(asked, trusted)
	if err != nil {
		return err
	}
	if err := verify.SnpAttestation(evidence, options); err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	if err := validate.SnpAttestation(evidence, anyPolicy()); err != nil {
		return fmt.Errorf("validate: %w", err)
	}
	return nil
}

func verifyOptions(asked question, trusted roots) (*verify.Options, error) {
	options := &verify.Options{
		DisableCertFetching: true,
		TrustedRoots:        trusted,
		Now:                 asked.At,
		CheckRevocations:    asked.CRL != nil,
		Getter:              onlyList(asked.CRL),
	}
	if asked.Product != "" {
		product, err := kds.ParseProductLine(asked.Product)
		if err != nil {
			return nil, err
		}
		options.Product = product
	}
	return options, nil
}

// anyPolicy permits whatever is a choice of the guest's owner or the host's, so that what remains
// is whether the evidence fits together.
func anyPolicy() *validate.Options {
	return &validate.Options{
		GuestPolicy:               abi.SnpPolicy{SMT: true, MigrateMA: true, Debug: true, CXLAllowed: true},
		PlatformInfo:              &abi.SnpPlatformInfo{SMTEnabled: true, TSMEEnabled: true, TIOEnabled: true},
		PermitProvisionalFirmware: true,
	}
}

// trustedRoots trusts the given root for the product that it names. The roots that the library
// brings along are never fallen back on: both verifiers are to judge the same chain.
func trustedRoots(asked question) (roots, error) {
	if len(asked.Certificates) != 3 {
		return nil, errors.New("chain: a VEK, an intermediate and a root are needed")
	}
	ark, err := x509.ParseCertificate(asked.Certificates[2])
	if err != nil {
		return nil, fmt.Errorf("chain: root: %w", err)
	}
	line := strings.TrimPrefix(ark.Subject.CommonName, "ARK-")
	root := trust.AMDRootCertsProduct(line)
	if err := root.Decode(asked.Certificates[1], asked.Certificates[2]); err != nil {
		return nil, fmt.Errorf("chain: %w", err)
	}
	if asked.CRL != nil {
		root.CRL, err = x509.ParseRevocationList(asked.CRL)
		if err != nil {
			return nil, fmt.Errorf("chain: revocation list: %w", err)
		}
	}
	return roots{line: {root}}, nil
}

// onlyList answers every URL with the one list that was given: a mirror that has nothing newer.
type onlyList []byte

func (list onlyList) Get(string) ([]byte, error) {
	return list, nil
}

// timed verifies again and again what is accepted. Intermediate and root are read once and outside
// of the time taken, as they are by the library's users.
func timed(asked question) answer {
	if err := guarded(asked); err != nil {
		return said(err)
	}
	if asked.Rounds < 1 {
		return said(errors.New("rounds must be at least 1"))
	}
	trusted, err := trustedRoots(asked)
	if err != nil {
		return said(err)
	}
	taken := make([]time.Duration, asked.Rounds)
	for round := range taken {
		begin := time.Now()
		err := judge(asked, trusted)
		taken[round] = time.Since(begin)
		if err != nil {
			return said(err)
		}
	}
	slices.Sort(taken)
	return answer{Accepted: true, Nanoseconds: taken[len(taken)/2].Nanoseconds()}
}
