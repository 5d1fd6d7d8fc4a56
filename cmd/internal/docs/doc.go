// Package docs tests what the documents in the docs folder claim: that their links
// lead somewhere, that every decision is in the index, and that the code in
// docs/protocol.md, which people copy into their services, does what the
// specification beside it says. A document that drifts from the program misleads
// somebody at three in the morning.
package docs
