//! What an upload is of, and where it stands.

/// What an upload is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Piece {
    /// A whole file, sent in order.
    Whole,
    /// A piece of one; it is of no use by itself.
    Partial,
    /// A whole file, made of pieces.
    Joined,
    /// A whole file, made of another one by this service.
    Transcoded,
}

impl Piece {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Whole, Self::Partial, Self::Joined, Self::Transcoded];

    /// The word stores keep.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Partial => "partial",
            Self::Joined => "joined",
            Self::Transcoded => "transcoded",
        }
    }

    /// The one of that word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|piece| piece.as_str() == text)
    }
}

/// Where an upload stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UploadState {
    /// Bytes are missing; or, of a piece, it waits to be joined.
    Receiving,
    /// All bytes are here and are being read back.
    Checking,
    /// It can be used.
    Ready,
    /// The digest is another than the one announced: the bytes are not those that were meant.
    DigestWrong,
    /// Somebody gave it up.
    Cancelled,
    /// It did not arrive in time.
    Expired,
    /// It is part of a file now.
    Absorbed,
    /// It is being made of another file, or waits for it.
    Transcoding,
    /// Nothing came of making it.
    TranscodeFailed,
}

impl UploadState {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Receiving,
        Self::Checking,
        Self::Ready,
        Self::DigestWrong,
        Self::Cancelled,
        Self::Expired,
        Self::Absorbed,
        Self::Transcoding,
        Self::TranscodeFailed,
    ];

    /// The word stores keep.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Receiving => "receiving",
            Self::Checking => "checking",
            Self::Ready => "ready",
            Self::DigestWrong => "digest_wrong",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Absorbed => "absorbed",
            Self::Transcoding => "transcoding",
            Self::TranscodeFailed => "transcode_failed",
        }
    }

    /// The one of that word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Whether nothing of it is kept any more.
    pub const fn is_gone(self) -> bool {
        matches!(
            self,
            Self::DigestWrong | Self::Cancelled | Self::Expired | Self::Absorbed | Self::TranscodeFailed
        )
    }
}
