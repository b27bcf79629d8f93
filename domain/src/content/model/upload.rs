//! An upload and the states it goes through.

use chrono::TimeDelta;

use super::{
    super::ContentError,
    media::Probed,
    state::{Piece, UploadState},
    transcode::Recipe,
};
use crate::kernel::{
    clock::Timestamp,
    ids::{MemberId, UploadId},
};

/// Longest file, in bytes: what the largest platform limit known allows (4 GB, Douyin open platform, `upload_video`).
pub const UPLOAD_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;

/// How long an upload may take before what is there is thrown away, in seconds.
pub const UPLOAD_LIFE_S: i64 = 24 * 3_600;

/// How long after its time an upload is looked at for the last time, in seconds: longer than any request that was let in
/// before can bring bytes.
const LAST_LOOK_AFTER_S: i64 = 2 * 3_600;

/// Longest `metadata`, in bytes.
const METADATA_MAX: usize = 4_096;

/// Most parts of one upload. Those who send kilobytes at a time come to it, and nobody else.
pub const PARTS_MAX: u32 = 10_000;

/// Most pieces that are joined at a time.
pub const PIECES_MAX: usize = 64;

/// Most uploads of a tenant that are open at a time.
pub const UPLOADS_OPEN_MAX: u32 = 500;

/// Longest name of a file, in characters.
const NAME_MAX_CHARS: usize = 255;

/// Longest media type, in bytes.
const MEDIA_TYPE_MAX: usize = 127;

/// What is announced of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UploadDraft {
    /// What it is called; a piece may have no name.
    pub name: String,
    /// Its media type (RFC 6838), as `video/mp4`; empty when it is not known.
    pub media_type: String,
    /// Its length.
    pub size_bytes: u64,
    /// Its SHA-256, when it is known beforehand.
    pub sha256: Option<[u8; 32]>,
    /// What the client said of it, in the client's own words, to be told back; empty when it said nothing.
    pub metadata: String,
}

/// A file on its way in, or arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Its id.
    pub id: UploadId,
    /// What it is of.
    pub piece: Piece,
    /// Of a joined file, what it was made of.
    pub pieces: Vec<UploadId>,
    /// What was announced.
    pub draft: UploadDraft,
    /// How much of it is here.
    pub received_bytes: u64,
    /// In how many parts.
    pub parts: u32,
    /// Where it stands.
    pub state: UploadState,
    /// Its SHA-256 as it was found.
    pub digest: Option<[u8; 32]>,
    /// What a probe made of it; `None` while it was not probed.
    pub probed: Option<Probed>,
    /// Who began it, when a member did.
    pub begun_by: Option<MemberId>,
    /// When it was begun.
    pub created_at: Timestamp,
    /// When it is thrown away unless it is all here by then.
    pub expires_at: Timestamp,
    /// Counts changes.
    pub version: u32,
}

/// A run of bytes of an upload, kept as one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where in the upload it begins.
    pub offset_bytes: u64,
    /// How long it is.
    pub size_bytes: u64,
    /// What the object is called.
    pub key: String,
}

const fn invalid(field: &'static str, problem: &'static str) -> ContentError {
    ContentError::Invalid { field, problem }
}

/// RFC 6838 section 4.2: two names of restricted characters. Parameters are left out.
fn is_media_type(text: &str) -> bool {
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "!#$&-^_.+".contains(c))
    };
    text.len() <= MEDIA_TYPE_MAX && text.split_once('/').is_some_and(|(a, b)| is_name(a) && is_name(b))
}

impl UploadDraft {
    /// The same, tidied.
    fn checked(mut self, piece: Piece) -> Result<Self, ContentError> {
        self.name = self.name.trim().to_owned();
        if self.name.is_empty() && piece != Piece::Partial {
            return Err(invalid("name", "must not be empty"));
        }
        if self.name.chars().count() > NAME_MAX_CHARS {
            return Err(invalid("name", "must be at most 255 characters"));
        }
        if self.name.chars().any(char::is_control) {
            return Err(invalid("name", "must not contain control characters"));
        }
        if !self.media_type.is_empty() && !is_media_type(&self.media_type) {
            return Err(invalid("mediaType", "must be a media type, as video/mp4"));
        }
        if self.metadata.len() > METADATA_MAX {
            return Err(invalid("metadata", "must be at most 4096 bytes"));
        }
        if self.size_bytes == 0 {
            return Err(invalid("sizeBytes", "must be at least 1"));
        }
        if self.size_bytes > UPLOAD_BYTES_MAX {
            return Err(invalid("sizeBytes", "must be at most 4294967296 (4 GiB)"));
        }
        Ok(self)
    }
}

impl Upload {
    /// Makes room for a file, or a piece of one.
    ///
    /// # Errors
    /// `Invalid`.
    pub fn begin(
        id: UploadId,
        piece: Piece,
        draft: UploadDraft,
        begun_by: Option<MemberId>,
        now: Timestamp,
    ) -> Result<Self, ContentError> {
        Ok(Self {
            id,
            piece,
            pieces: Vec::new(),
            draft: draft.checked(piece)?,
            received_bytes: 0,
            parts: 0,
            state: UploadState::Receiving,
            digest: None,
            probed: None,
            begun_by,
            created_at: now,
            expires_at: now + TimeDelta::seconds(UPLOAD_LIFE_S),
            version: 1,
        })
    }

    /// Whether all of it is here.
    pub const fn is_complete(&self) -> bool {
        self.received_bytes == self.draft.size_bytes
    }

    /// When it is looked at for the last time: what is kept of it and not counted by then never will be.
    pub fn last_look_at(&self) -> Timestamp {
        self.expires_at + TimeDelta::seconds(LAST_LOOK_AFTER_S)
    }

    /// Whether bytes may follow at `offset`, and how many at most.
    ///
    /// # Errors
    /// `UploadClosed`, `OffsetWrong`.
    pub fn wanted(&self, offset: u64, now: Timestamp) -> Result<u64, ContentError> {
        let is_open = self.state == UploadState::Receiving && self.piece != Piece::Joined;
        if !is_open || now >= self.expires_at {
            return Err(ContentError::UploadClosed);
        }
        if offset != self.received_bytes {
            return Err(ContentError::OffsetWrong { expected: self.received_bytes });
        }
        Ok(self.draft.size_bytes - self.received_bytes)
    }

    /// Counts a part. The last one of a whole file sends it to be checked.
    ///
    /// # Errors
    /// `UploadClosed`, `OffsetWrong`, `TooLong`, `TooManyParts`.
    pub fn receive(&mut self, part: &Part, now: Timestamp) -> Result<(), ContentError> {
        let wanted = self.wanted(part.offset_bytes, now)?;
        if part.size_bytes > wanted {
            return Err(ContentError::TooLong { size_bytes: self.draft.size_bytes });
        }
        if self.parts >= PARTS_MAX {
            return Err(ContentError::TooManyParts { max: PARTS_MAX });
        }
        self.received_bytes += part.size_bytes;
        self.parts += 1;
        if self.is_complete() && self.piece == Piece::Whole {
            self.state = UploadState::Checking;
        }
        Ok(())
    }

    /// Makes one file of pieces, in this order. They are absorbed.
    ///
    /// # Errors
    /// `NotJoinable`, `Invalid`, `TooManyParts`.
    pub fn join(
        id: UploadId,
        draft: UploadDraft,
        pieces: &mut [Self],
        begun_by: Option<MemberId>,
        now: Timestamp,
    ) -> Result<Self, ContentError> {
        let is_good = |piece: &Self| {
            piece.piece == Piece::Partial && piece.state == UploadState::Receiving && piece.is_complete()
        };
        if pieces.is_empty() || pieces.len() > PIECES_MAX || !pieces.iter().all(is_good) {
            return Err(ContentError::NotJoinable);
        }
        let size_bytes = pieces.iter().map(|piece| piece.received_bytes).sum();
        let mut joined = Self::begin(id, Piece::Joined, UploadDraft { size_bytes, ..draft }, begun_by, now)?;
        joined.parts = pieces.iter().map(|piece| piece.parts).sum();
        if joined.parts > PARTS_MAX {
            return Err(ContentError::TooManyParts { max: PARTS_MAX });
        }
        joined.pieces = pieces.iter().map(|piece| piece.id).collect();
        joined.received_bytes = size_bytes;
        joined.state = UploadState::Checking;
        for piece in pieces {
            piece.state = UploadState::Absorbed;
            piece.parts = 0;
        }
        Ok(joined)
    }

    /// Makes room for a file that is to be made of this one. Until it is made, as much is set aside for it as it may have.
    ///
    /// # Errors
    /// `UploadNotReady`, `Invalid`.
    pub fn transcode(
        &self,
        id: UploadId,
        recipe: &Recipe,
        begun_by: Option<MemberId>,
        now: Timestamp,
    ) -> Result<Self, ContentError> {
        if self.state != UploadState::Ready {
            return Err(ContentError::UploadNotReady);
        }
        let draft = UploadDraft {
            name: self.draft.name.clone(),
            media_type: recipe.target.media_type.to_owned(),
            size_bytes: recipe.output_max_bytes,
            ..UploadDraft::default()
        };
        let mut made = Self::begin(id, Piece::Transcoded, draft, begun_by, now)?;
        made.state = UploadState::Transcoding;
        Ok(made)
    }

    /// It was made, of these parts, and has this digest; it is read back as any other.
    ///
    /// # Errors
    /// `UploadClosed`: it is not being made. `TooManyParts`.
    pub fn transcoded(&mut self, digest: [u8; 32], parts: &[Part]) -> Result<(), ContentError> {
        if self.state != UploadState::Transcoding {
            return Err(ContentError::UploadClosed);
        }
        let count = u32::try_from(parts.len()).ok().filter(|count| *count <= PARTS_MAX);
        self.parts = count.ok_or(ContentError::TooManyParts { max: PARTS_MAX })?;
        self.received_bytes = parts.iter().map(|part| part.size_bytes).sum();
        self.draft.size_bytes = self.received_bytes;
        self.draft.sha256 = Some(digest);
        self.state = UploadState::Checking;
        Ok(())
    }

    /// Nothing came of making it.
    ///
    /// # Errors
    /// `UploadClosed`: it is not being made.
    pub fn transcode_failed(&mut self) -> Result<(), ContentError> {
        if self.state != UploadState::Transcoding {
            return Err(ContentError::UploadClosed);
        }
        self.state = UploadState::TranscodeFailed;
        Ok(())
    }

    /// What was read back has this digest, and was probed so.
    ///
    /// # Errors
    /// `UploadClosed`: it does not wait to be checked.
    pub fn checked(&mut self, digest: [u8; 32], probed: Option<Probed>) -> Result<(), ContentError> {
        if self.state != UploadState::Checking {
            return Err(ContentError::UploadClosed);
        }
        let is_meant = self.draft.sha256.is_none_or(|announced| announced == digest);
        self.digest = Some(digest);
        self.probed = probed;
        self.state = if is_meant { UploadState::Ready } else { UploadState::DigestWrong };
        Ok(())
    }

    /// Gives it up.
    ///
    /// # Errors
    /// `UploadClosed`: there is nothing to give up.
    pub fn cancel(&mut self) -> Result<(), ContentError> {
        if self.state.is_gone() {
            return Err(ContentError::UploadClosed);
        }
        self.state = UploadState::Cancelled;
        Ok(())
    }

    /// Its time is over, if it is.
    pub fn expire(&mut self, now: Timestamp) -> bool {
        let is_over = self.state == UploadState::Receiving && now >= self.expires_at;
        if is_over {
            self.state = UploadState::Expired;
        }
        is_over
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(1_800_000_000 + seconds, 0).unwrap_or_default()
    }

    fn id(n: u128) -> UploadId {
        UploadId::from_uuid(Uuid::from_u128(n))
    }

    fn draft(size_bytes: u64) -> UploadDraft {
        UploadDraft {
            name: "a.mp4".to_owned(),
            media_type: "video/mp4".to_owned(),
            size_bytes,
            ..UploadDraft::default()
        }
    }

    fn part(offset_bytes: u64, size_bytes: u64) -> Part {
        Part { offset_bytes, size_bytes, key: format!("{offset_bytes}") }
    }

    fn begun(piece: Piece, size_bytes: u64) -> Upload {
        Upload::begin(id(1), piece, draft(size_bytes), None, at(0)).expect("good")
    }

    fn of(result: Result<(), ContentError>) -> &'static str {
        result.map_or_else(|error| error.reason(), |()| "done")
    }

    #[test]
    fn bytes_are_counted_at_the_first_one_missing_and_nowhere_else() {
        let mut upload = begun(Piece::Whole, 10);
        assert_eq!(of(upload.receive(&part(1, 1), at(0))), "offset_wrong");
        assert_eq!(of(upload.receive(&part(0, 11), at(0))), "too_long");
        assert_eq!(of(upload.receive(&part(0, 6), at(0))), "done");
        assert_eq!(of(upload.receive(&part(0, 6), at(0))), "offset_wrong");
        assert_eq!(upload.wanted(6, at(0)).expect("open"), 4);
        assert_eq!(of(upload.receive(&part(6, 5), at(0))), "too_long");
        assert_eq!((upload.received_bytes, upload.state), (6, UploadState::Receiving));
        assert_eq!(of(upload.receive(&part(6, 4), at(0))), "done");
        assert_eq!(upload.state, UploadState::Checking);
        assert_eq!(of(upload.receive(&part(10, 0), at(0))), "upload_closed");
    }

    #[test]
    fn nothing_is_taken_after_the_end() {
        let mut late = begun(Piece::Whole, 10);
        assert_eq!(of(late.receive(&part(0, 1), at(UPLOAD_LIFE_S))), "upload_closed");
        assert!(!late.clone().expire(at(UPLOAD_LIFE_S - 1)));
        assert!(late.expire(at(UPLOAD_LIFE_S)));
        assert_eq!(of(late.cancel()), "upload_closed");
        let mut given_up = begun(Piece::Whole, 10);
        assert_eq!(of(given_up.cancel()), "done");
        assert_eq!(of(given_up.receive(&part(0, 1), at(0))), "upload_closed");
        assert!(!given_up.expire(at(UPLOAD_LIFE_S)), "it has ended already");
    }

    #[test]
    fn a_file_in_crumbs_is_refused() {
        let mut upload = begun(Piece::Whole, 1_000_000);
        for n in 0..u64::from(PARTS_MAX) {
            assert_eq!(of(upload.receive(&part(n, 1), at(0))), "done");
        }
        assert_eq!(of(upload.receive(&part(PARTS_MAX.into(), 1), at(0))), "too_many_parts");
    }

    #[test]
    fn pieces_are_joined_when_all_are_there() {
        let mut pieces = vec![begun(Piece::Partial, 4), begun(Piece::Partial, 3)];
        let join = |pieces: &mut [Upload]| Upload::join(id(2), draft(0), pieces, None, at(1));
        assert_eq!(of(pieces[0].receive(&part(0, 4), at(0))), "done");
        assert_eq!(pieces[0].state, UploadState::Receiving, "a piece is not checked by itself");
        assert_eq!(of(join(&mut pieces).map(drop)), "not_joinable");
        assert_eq!(of(pieces[1].receive(&part(0, 3), at(0))), "done");
        let joined = join(&mut pieces).expect("all are there");
        assert_eq!((joined.draft.size_bytes, joined.received_bytes, joined.parts), (7, 7, 2));
        assert_eq!(joined.state, UploadState::Checking);
        assert!(pieces.iter().all(|piece| piece.state == UploadState::Absorbed));
        assert_eq!(of(join(&mut pieces).map(drop)), "not_joinable", "once only");
        assert_eq!(of(joined.wanted(7, at(1)).map(drop)), "upload_closed");
        let mut whole = [begun(Piece::Whole, 1)];
        assert_eq!(of(whole[0].receive(&part(0, 1), at(0))), "done");
        assert_eq!(of(join(&mut whole).map(drop)), "not_joinable");
        assert_eq!(of(join(&mut []).map(drop)), "not_joinable");
    }

    #[test]
    fn what_was_read_back_must_be_what_was_announced() {
        for (announced, found, state) in [
            (None, [1; 32], UploadState::Ready),
            (Some([1; 32]), [1; 32], UploadState::Ready),
            (Some([2; 32]), [1; 32], UploadState::DigestWrong),
        ] {
            let announced = UploadDraft { sha256: announced, ..draft(1) };
            let mut upload = Upload::begin(id(1), Piece::Whole, announced, None, at(0)).expect("good");
            assert_eq!(of(upload.checked(found, None)), "upload_closed", "not all of it is here");
            assert_eq!(of(upload.receive(&part(0, 1), at(0))), "done");
            assert_eq!(of(upload.checked(found, None)), "done");
            assert_eq!((upload.state, upload.digest), (state, Some(found)));
            assert_eq!(of(upload.checked(found, None)), "upload_closed");
        }
    }

    #[test]
    fn drafts_are_checked() {
        let check = |draft: UploadDraft| of(Upload::begin(id(1), Piece::Whole, draft, None, at(0)).map(drop));
        for (draft, outcome) in [
            (draft(1), "done"),
            (draft(UPLOAD_BYTES_MAX), "done"),
            (draft(0), "invalid_input"),
            (draft(UPLOAD_BYTES_MAX + 1), "invalid_input"),
            (UploadDraft { name: "  ".to_owned(), ..draft(1) }, "invalid_input"),
            (UploadDraft { name: "a\nb".to_owned(), ..draft(1) }, "invalid_input"),
            (UploadDraft { name: "片".repeat(255), ..draft(1) }, "done"),
            (UploadDraft { name: "片".repeat(256), ..draft(1) }, "invalid_input"),
            (UploadDraft { media_type: String::new(), ..draft(1) }, "done"),
            (UploadDraft { media_type: "video".to_owned(), ..draft(1) }, "invalid_input"),
            (UploadDraft { media_type: "video/mp4; codecs=x".to_owned(), ..draft(1) }, "invalid_input"),
            (UploadDraft { media_type: "video/\r\nx".to_owned(), ..draft(1) }, "invalid_input"),
        ] {
            assert_eq!(check(draft.clone()), outcome, "{draft:?}");
        }
        let nameless = UploadDraft { name: String::new(), ..draft(1) };
        assert!(Upload::begin(id(1), Piece::Partial, nameless, None, at(0)).is_ok());
    }
}
