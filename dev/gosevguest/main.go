// Command gosevguest says what the verifier of google/go-sev-guest makes of a report and its chain.
//
// Each line of standard input is a question in JSON, each line of standard output its answer; it
// ends when its input does. Nothing is fetched, nothing is kept from one question to the next.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

type question struct {
	// Mode is "verify", or "bench" to take the time as well.
	Mode   string `json:"mode"`
	Report []byte `json:"report"`
	// Certificates are the VEK, its intermediate and the root to trust, each in DER.
	Certificates [][]byte  `json:"certificates"`
	At           time.Time `json:"at"`
	// Product is what a report of version 2 is expected to come from; empty for any.
	Product string `json:"product"`
	// CRL is the root's revocation list in DER; absent, revocation is not looked at.
	CRL []byte `json:"crl"`
	// Rounds is how often "bench" verifies.
	Rounds int `json:"rounds"`
}

type answer struct {
	Accepted bool   `json:"accepted"`
	Error    string `json:"error"`
	// Nanoseconds is the median of one whole verification.
	Nanoseconds int64 `json:"nanoseconds,omitempty"`
}

func main() {
	if err := converse(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "gosevguest:", err)
		os.Exit(2)
	}
}

func converse(in io.Reader, out io.Writer) error {
	questions, answers := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var asked question
		if err := questions.Decode(&asked); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := answers.Encode(respond(asked)); err != nil {
			return err
		}
	}
}

func respond(asked question) answer {
	switch asked.Mode {
	case "verify":
		return said(guarded(asked))
	case "bench":
		return timed(asked)
	default:
		return said(fmt.Errorf("unknown mode %q", asked.Mode))
	}
}

func said(err error) answer {
	if err != nil {
		return answer{Error: err.Error()}
	}
	return answer{Accepted: true}
}
