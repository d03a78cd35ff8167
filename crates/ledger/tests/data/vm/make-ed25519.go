// Makes signatures at the edges of Ed25519, with the verdict of Go's crypto/ed25519.
//
// usage: go mod init vectors && go get filippo.io/edwards25519@v1.1.0 && go run make-ed25519.go > ed25519.jsonl
package main

import (
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"math/big"

	"filippo.io/edwards25519"
)

// All encodings, canonical or not, of the points of order 1, 2, 4 and 8.
var smallOrder = []string{
	"0100000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000080",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0000000000000000000000000000000000000000000000000000000000000080",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
}

func row(key, message, signature []byte) {
	valid := ed25519.Verify(key, message, signature)
	fmt.Printf("{\"key\": \"%x\", \"message\": \"%x\", \"signature\": \"%x\", \"valid\": %t}\n",
		key, message, signature, valid)
}

func reversed(bytes []byte) []byte {
	result := make([]byte, len(bytes))
	for i, b := range bytes {
		result[len(bytes)-1-i] = b
	}
	return result
}

func littleEndian(n *big.Int) []byte { return reversed(n.FillBytes(make([]byte, 32))) }

func join(parts ...[]byte) (all []byte) {
	for _, part := range parts {
		all = append(all, part...)
	}
	return all
}

func message(i int) []byte {
	hash := sha512.Sum512([]byte(fmt.Sprint("message ", i)))
	return hash[:32]
}

func decode(text string) []byte {
	bytes, err := hex.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return bytes
}

func main() {
	order, _ := new(big.Int).SetString(
		"7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	seed := sha512.Sum512([]byte("vectors"))
	private := ed25519.NewKeyFromSeed(seed[:32])
	public := private.Public().(ed25519.PublicKey)
	sound := ed25519.Sign(private, message(0))

	row(public, message(0), sound)
	row(public, message(1), sound)
	// The scalar plus multiples of the order.
	scalar := new(big.Int).SetBytes(reversed(sound[32:]))
	for k := int64(1); k <= 15; k++ {
		n := new(big.Int).Add(scalar, new(big.Int).Mul(order, big.NewInt(k)))
		row(public, message(0), join(sound[:32], littleEndian(n)))
	}
	// Other lengths.
	row(public, message(0), sound[:63])
	row(public, message(0), join(sound, []byte{0}))
	row(public, message(0), nil)
	// Keys and points of which some are off the curve.
	for y := byte(2); y < 8; y++ {
		point := make([]byte, 32)
		point[0] = y
		row(point, message(0), sound)
		row(public, message(0), join(point, sound[32:]))
	}
	// Keys and points of small order: all that pass, and some that do not.
	tried := 0
	for _, key := range smallOrder {
		for _, point := range smallOrder {
			for i := 0; i < 12; i++ {
				for _, scalar := range []*big.Int{big.NewInt(0), order} {
					signature := join(decode(point), littleEndian(scalar))
					tried++
					if ed25519.Verify(decode(key), message(i), signature) || tried%23 == 0 {
						row(decode(key), message(i), signature)
					}
				}
			}
		}
	}
	// Keys, and keys and points, with a part of small order.
	expanded := sha512.Sum512(seed[:32])
	secret, _ := edwards25519.NewScalar().SetBytesWithClamping(expanded[:32])
	for _, encoded := range smallOrder {
		small, err := new(edwards25519.Point).SetBytes(decode(encoded))
		if err != nil {
			panic(err)
		}
		key := new(edwards25519.Point).ScalarBaseMult(secret)
		key.Add(key, small)
		for i := 0; i < 12; i++ {
			nonceHash := sha512.Sum512(append(message(i), 7))
			nonce, _ := edwards25519.NewScalar().SetUniformBytes(nonceHash[:])
			for _, mixed := range []bool{false, true} {
				point := new(edwards25519.Point).ScalarBaseMult(nonce)
				if mixed {
					point.Add(point, small)
				}
				hash := sha512.Sum512(join(point.Bytes(), key.Bytes(), message(i)))
				challenge, _ := edwards25519.NewScalar().SetUniformBytes(hash[:])
				scalar := edwards25519.NewScalar().MultiplyAdd(challenge, secret, nonce)
				row(key.Bytes(), message(i), join(point.Bytes(), scalar.Bytes()))
			}
		}
	}
}
