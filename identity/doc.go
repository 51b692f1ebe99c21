// Package identity says who is who: peer IDs, key files, addresses, invites
// and the fingerprints by which two people check that they talk to each other.
package identity
