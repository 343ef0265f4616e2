package client

import (
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
)

// IssuerKey returns the signing key of the stack's issuer and its id, to make tokens that
// the issuer would not.
func (s *Stack) IssuerKey() (key *rsa.PrivateKey, id string, err error) {
	raw, err := os.ReadFile(filepath.Join(s.Data, "data", "oidc", "secrets.json"))
	if err != nil {
		return nil, "", err
	}
	var secrets struct {
		JWKS struct {
			Keys []struct{ N, E, D, P, Q, Kid string }
		}
	}
	if err := json.Unmarshal(raw, &secrets); err != nil || len(secrets.JWKS.Keys) != 1 {
		return nil, "", fmt.Errorf("the issuer keeps %d keys: %w", len(secrets.JWKS.Keys), err)
	}
	var errs []error
	number := func(text string) *big.Int {
		b, err := base64.RawURLEncoding.DecodeString(text)
		errs = append(errs, err)
		return new(big.Int).SetBytes(b)
	}
	k := secrets.JWKS.Keys[0]
	key = &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: number(k.N), E: int(number(k.E).Int64())},
		D:         number(k.D), Primes: []*big.Int{number(k.P), number(k.Q)},
	}
	if err := errors.Join(errs...); err != nil {
		return nil, "", err
	}
	key.Precompute()
	return key, k.Kid, key.Validate()
}
