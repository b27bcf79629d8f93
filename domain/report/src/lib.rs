//! The report bundle: what an auditor takes away, and needs nothing else of us to check. This crate says which files
//! are in it and what stands in them, and writes it; `matricula-verify` reads it.
//!
//! A bundle is a zip, or the same files in a directory:
//!
//! | File | What it is |
//! | --- | --- |
//! | `report.csv` | the rows: RFC 4180, CRLF, UTF-8, the columns of [`columns::COLUMNS`] |
//! | `report.columns.json` | what the columns mean ([`columns::describe`]) |
//! | `range/boundary` | the hashes of the complete subtrees of `[0, first)`, base64, one a line |
//! | `range/<first index, 20 digits>.jsonl.gz` | every leaf of `[first, end)`, one a line, gzip, at most [`names::SEGMENT_LEAVES_MAX`] a file |
//! | `disclosures.jsonl` | values and salts that open commitments of rows ([`opening::Disclosure`]) |
//! | `erasures.jsonl` | rows whose values were erased, and by which event ([`opening::Erasure`]) |
//! | `erasures/<index, 20 digits>.tlog-proof` | that event and its proof, in the tenant's `admin` log (C2SP tlog-proof; the leaf is its `extra`) |
//! | `heads/checkpoint` | the tenant's signed checkpoint of size `end` |
//! | `heads/checkpoint-before` | that of size `first`, when there is one |
//! | `heads/consistency` | the consistency proof from the one to the other, base64, one a line |
//! | `heads/platform-proof`, `heads/platform-proof-before` | that the platform's log holds those checkpoints: C2SP tlog-proof, whose `extra` is the salt of [`heads::platform_leaf`] and whose checkpoint is the platform's, with cosignatures |
//! | `heads/log-policy` | the policy as the log's keeper states it, to be compared with the auditor's own |
//! | `manifest.json` | [`manifest::Manifest`] |
//! | `summary.html`, `VERIFY.txt` | for people |
//! | `SHA256SUMS` | the SHA-256 of every file above ([`sums`]) |
//! | `SHA256SUMS.p7s` | CAdES-B-B over `SHA256SUMS`, detached, DER ([`cms`]) |
//! | `SHA256SUMS.tsr` | RFC 3161 response over `SHA256SUMS.p7s`, when a time-stamping authority answered ([`tsp`]) |
//!
//! Of the heads only `heads/checkpoint` must be there; what else is demanded is said by who checks.
//!
//! The range is whole, not only the rows: folded onto the boundary its leaves give the signed root, so none is
//! missing, and whoever asks the query of them again finds exactly the rows of the CSV. Its files are hashed as they
//! lie in the bundle, compressed, so that they can be made long before and copied. A maker that does so cuts at
//! multiples of [`names::SEGMENT_LEAVES_MAX`]; readers only ask that they follow each other.
//!
//! Invariants: every file has one form, and what is written in another is refused; the writer's memory does not grow
//! with leaves or rows; a cell that a spreadsheet would take for a formula is not one, and can be read back; personal
//! data is in a bundle only as disclosures, and what those show in the CSV.
//!
//! Absent on purpose: reading and judging bundles, which is the verifier's; keys, which are behind a callback so that
//! a key service can sign; files and sockets, which are the caller's; a timestamp's trust; formats of other times.

pub mod cms;
pub mod columns;
pub mod csv;
mod error;
pub mod heads;
pub mod leaf;
pub mod manifest;
pub mod names;
pub mod opening;
pub mod query;
pub mod summary;
pub mod sums;
pub mod time;
pub mod tsp;
mod verify_txt;
pub mod writer;

pub use error::{BundleError, FormatError};
pub use verify_txt::verify_txt;
