package attestation

import "strconv"

// PayloadType is the type of a statement in a DSSE envelope.
const PayloadType = "application/vnd.in-toto+json"

// PAE is what a DSSE signature of statement is over, the pre-authentication
// encoding of https://github.com/secure-systems-lab/dsse/blob/v1.0.2/protocol.md.
func PAE(statement []byte) []byte {
	b := make([]byte, 0, len(statement)+64)
	b = append(b, "DSSEv1 "...)
	b = strconv.AppendInt(b, int64(len(PayloadType)), 10)
	b = append(b, " "+PayloadType+" "...)
	b = strconv.AppendInt(b, int64(len(statement)), 10)
	b = append(b, ' ')
	return append(b, statement...)
}
