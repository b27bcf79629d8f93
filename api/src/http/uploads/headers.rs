//! What the headers of this protocol say.

use actix_web::HttpRequest;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::{
    content::model::{PIECES_MAX, Piece, Upload, UploadDraft},
    kernel::ids::UploadId,
};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::super::auth::header;
use crate::hex::unhex;

/// What is to be made room for.
pub(super) struct Wanted {
    pub(super) draft: UploadDraft,
    pub(super) concat: Concat,
}

/// What part of a file is meant (`Upload-Concat`).
pub(super) enum Concat {
    Whole,
    Partial,
    Final(Vec<UploadId>),
}

/// A number of bytes in a header that must be there.
pub(super) fn number(request: &HttpRequest, name: &str) -> Result<u64, String> {
    let text = header(request, name).ok_or_else(|| format!("{name} is missing"))?;
    digits(&text).ok_or_else(|| format!("{name} must be decimal digits"))
}

fn digits(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

/// What a request to make room asks for.
pub(super) fn wanted(request: &HttpRequest) -> Result<Wanted, String> {
    let concat = match header(request, "upload-concat") {
        None => Concat::Whole,
        Some(text) if text == "partial" => Concat::Partial,
        Some(text) => Concat::Final(pieces(&text)?),
    };
    if header(request, "upload-defer-length").is_some() {
        return Err("Upload-Defer-Length is not taken: say how long the file is".to_owned());
    }
    let metadata = header(request, "upload-metadata").unwrap_or_default();
    let mut draft = UploadDraft { metadata: metadata.clone(), ..described(&metadata)? };
    // A joined file is as long as its pieces.
    if !matches!(concat, Concat::Final(_)) {
        draft.size_bytes = number(request, "upload-length")?;
    }
    Ok(Wanted { draft, concat })
}

/// The ids behind `final;`, given as addresses, whole or from the root on.
fn pieces(text: &str) -> Result<Vec<UploadId>, String> {
    let wrong = || "Upload-Concat must be partial, or final; and the addresses of the pieces".to_owned();
    let list = text.strip_prefix("final;").ok_or_else(wrong)?;
    let ids = list.split_ascii_whitespace().map(|address| {
        let id = address.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        Uuid::try_parse(id).map(UploadId::from_uuid).map_err(|_| wrong())
    });
    let ids: Vec<_> = ids.collect::<Result<_, _>>()?;
    if ids.len() > PIECES_MAX {
        return Err(format!("at most {PIECES_MAX} pieces are joined at a time"));
    }
    if ids.is_empty() { Err(wrong()) } else { Ok(ids) }
}

/// What `Upload-Metadata` says of the file: pairs of a key and a base64 value. Keys that mean nothing here are passed
/// over; clients send all kinds.
fn described(text: &str) -> Result<UploadDraft, String> {
    let mut draft = UploadDraft::default();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once(' ').unwrap_or((pair, ""));
        let value = STANDARD.decode(value.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let value =
            value.ok_or_else(|| format!("the value of {key:?} in Upload-Metadata is no base64 of text"))?;
        match key {
            "filename" | "name" => draft.name = value,
            "filetype" | "type" | "contentType" => draft.media_type = value,
            "sha256" => {
                let digest = unhex(&value);
                draft.sha256 = Some(digest.ok_or("sha256 in Upload-Metadata must be 64 hexadecimal digits")?);
            }
            _ => {}
        }
    }
    Ok(draft)
}

/// What was said of the file, as it was said; of one that was begun elsewhere, the same the other way round.
pub(super) fn metadata(draft: &UploadDraft) -> String {
    if !draft.metadata.is_empty() {
        return draft.metadata.clone();
    }
    let pair =
        |(key, value): (&str, &str)| (!value.is_empty()).then(|| format!("{key} {}", STANDARD.encode(value)));
    [("filename", draft.name.as_str()), ("filetype", draft.media_type.as_str())]
        .into_iter()
        .filter_map(pair)
        .collect::<Vec<_>>()
        .join(",")
}

/// `Upload-Concat` of an upload that is no whole file sent in order.
pub(super) fn concat(upload: &Upload, url: impl Fn(UploadId) -> String) -> Option<String> {
    match upload.piece {
        Piece::Whole | Piece::Transcoded => None,
        Piece::Partial => Some("partial".to_owned()),
        Piece::Joined => {
            let pieces: Vec<_> = upload.pieces.iter().map(|piece| url(*piece)).collect();
            Some(format!("final;{}", pieces.join(" ")))
        }
    }
}

/// A checksum that a chunk must have.
pub(super) struct Checksum {
    hasher: Hasher,
    wanted: Vec<u8>,
}

enum Hasher {
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Checksum {
    /// The one a request names, if any.
    pub(super) fn of(request: &HttpRequest) -> Result<Option<Self>, &'static str> {
        let Some(text) = header(request, "upload-checksum") else { return Ok(None) };
        let (name, digest) =
            text.split_once(' ').ok_or("Upload-Checksum must be an algorithm and a digest")?;
        let (hasher, length) = match name {
            "sha1" => (Hasher::Sha1(Sha1::new()), 20),
            "sha256" => (Hasher::Sha256(Sha256::new()), 32),
            _ => return Err("Upload-Checksum must be of sha1 or sha256"),
        };
        let wanted = STANDARD.decode(digest.trim()).ok().filter(|digest| digest.len() == length);
        let wanted = wanted.ok_or("the digest in Upload-Checksum is not one in base64")?;
        Ok(Some(Self { hasher, wanted }))
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        match &mut self.hasher {
            Hasher::Sha1(hasher) => hasher.update(bytes),
            Hasher::Sha256(hasher) => hasher.update(bytes),
        }
    }

    pub(super) fn holds(self) -> bool {
        match self.hasher {
            Hasher::Sha1(hasher) => hasher.finalize().as_slice() == self.wanted,
            Hasher::Sha256(hasher) => hasher.finalize().as_slice() == self.wanted,
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn ask(headers: &[(&'static str, &str)]) -> HttpRequest {
        let request = TestRequest::post();
        headers
            .iter()
            .fold(request, |request, (name, value)| request.insert_header((*name, *value)))
            .to_http_request()
    }

    fn said(headers: &[(&'static str, &str)]) -> String {
        match wanted(&ask(headers)) {
            Err(problem) => problem,
            Ok(Wanted { draft, concat }) => {
                let concat = match concat {
                    Concat::Whole => "whole".to_owned(),
                    Concat::Partial => "partial".to_owned(),
                    Concat::Final(pieces) => format!("final of {}", pieces.len()),
                };
                format!("{concat} {} {} {}", draft.name, draft.media_type, draft.size_bytes)
            }
        }
    }

    #[test]
    fn what_is_asked_for_is_read_from_headers() {
        const A: &str = "00000000000000000000000000000001";
        // "a.mp4" and "video/mp4".
        const ABOUT: &str = "filename YS5tcDQ=,filetype dmlkZW8vbXA0, is_confidential,other eA==";
        for (headers, expected) in [
            (vec![("upload-length", "7"), ("upload-metadata", ABOUT)], "whole a.mp4 video/mp4 7"),
            (vec![("upload-length", "7")], "whole   7"),
            (vec![("upload-length", "7"), ("upload-concat", "partial")], "partial   7"),
            (
                vec![("upload-concat", &format!("final;/uploads/{A} https://x.example/uploads/{A}/"))],
                "final of 2   0",
            ),
            (vec![], "upload-length is missing"),
            (vec![("upload-length", "-7")], "upload-length must be decimal digits"),
            (vec![("upload-length", "+7")], "upload-length must be decimal digits"),
            (vec![("upload-length", "99999999999999999999")], "upload-length must be decimal digits"),
            (
                vec![("upload-length", "7"), ("upload-metadata", "filename ???")],
                "the value of \"filename\" in Upload-Metadata is no base64 of text",
            ),
            (
                vec![("upload-length", "7"), ("upload-metadata", "sha256 YQ==")],
                "sha256 in Upload-Metadata must be 64 hexadecimal digits",
            ),
            (
                vec![("upload-defer-length", "1")],
                "Upload-Defer-Length is not taken: say how long the file is",
            ),
            (
                vec![("upload-concat", "final;")],
                "Upload-Concat must be partial, or final; and the addresses of the pieces",
            ),
            (
                vec![("upload-concat", "final;/uploads/x")],
                "Upload-Concat must be partial, or final; and the addresses of the pieces",
            ),
            (
                vec![("upload-concat", &format!("final;{}", format!("{A} ").repeat(65)))],
                "at most 64 pieces are joined at a time",
            ),
        ] {
            assert_eq!(said(&headers), expected, "{headers:?}");
        }
    }

    #[test]
    fn metadata_comes_back() {
        let draft = UploadDraft {
            name: "短片 1.mp4".to_owned(),
            media_type: "video/mp4".to_owned(),
            ..UploadDraft::default()
        };
        assert_eq!(described(&metadata(&draft)), Ok(draft));
        assert_eq!(metadata(&UploadDraft::default()), "");
    }

    #[test]
    fn checksums_hold_or_do_not() {
        // Of "hello world": the protocol's own example.
        for (header, holds) in [
            ("sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=", Some(true)),
            ("sha1 AAAAAAAAAAAAAAAAAAAAAAAAAAA=", Some(false)),
            ("sha256 uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=", Some(true)),
            ("sha1 Kq5s", None),
            ("md5 Kq5sNclPz7QV2+lfQIuc6R7oRu0=", None),
            ("sha1", None),
        ] {
            let checksum = Checksum::of(&ask(&[("upload-checksum", header)]));
            let found = checksum.ok().flatten().map(|mut checksum| {
                checksum.update(b"hello ");
                checksum.update(b"world");
                checksum.holds()
            });
            assert_eq!(found, holds, "{header}");
        }
        assert!(Checksum::of(&ask(&[])).is_ok_and(|checksum| checksum.is_none()));
    }
}
