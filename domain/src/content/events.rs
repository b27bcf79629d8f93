//! Facts subscribers are told, in the past tense.

use uuid::Uuid;

use crate::kernel::{
    feed::{Fact, News},
    ids::UploadId,
};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContentFact {
    /// Room was made for a file.
    UploadBegun(UploadId),
    /// More of a file is here.
    UploadReceived(UploadId),
    /// A file can be used.
    UploadReady(UploadId),
    /// A file is not the one that was announced.
    UploadRefused(UploadId),
    /// A file was given up, did not arrive in time, or could not be made.
    UploadEnded(UploadId),
    /// More of a file is made.
    TranscodeMoved(UploadId),
}

/// A fact and when it happened.
pub type ContentEvent = News<ContentFact>;

impl Fact for ContentFact {
    const CONTEXT: &'static str = "content";

    fn name(self) -> &'static str {
        match self {
            Self::UploadBegun(_) => "upload_begun",
            Self::UploadReceived(_) => "upload_received",
            Self::UploadReady(_) => "upload_ready",
            Self::UploadRefused(_) => "upload_refused",
            Self::UploadEnded(_) => "upload_ended",
            Self::TranscodeMoved(_) => "transcode_moved",
        }
    }

    fn subject(self) -> Uuid {
        match self {
            Self::UploadBegun(id)
            | Self::UploadReceived(id)
            | Self::UploadReady(id)
            | Self::UploadRefused(id)
            | Self::UploadEnded(id)
            | Self::TranscodeMoved(id) => id.uuid(),
        }
    }

    fn of(name: &str, subject: Uuid) -> Option<Self> {
        let id = UploadId::from_uuid(subject);
        match name {
            "upload_begun" => Some(Self::UploadBegun(id)),
            "upload_received" => Some(Self::UploadReceived(id)),
            "upload_ready" => Some(Self::UploadReady(id)),
            "upload_refused" => Some(Self::UploadRefused(id)),
            "upload_ended" => Some(Self::UploadEnded(id)),
            "transcode_moved" => Some(Self::TranscodeMoved(id)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fact_is_found_again_by_its_name() {
        let id = UploadId::from_uuid(Uuid::from_u128(7));
        let mut next = Some(ContentFact::UploadBegun(id));
        while let Some(fact) = next {
            assert_eq!(ContentFact::of(fact.name(), fact.subject()), Some(fact));
            // A new fact does not compile until it has its place here.
            next = match fact {
                ContentFact::UploadBegun(_) => Some(ContentFact::UploadReceived(id)),
                ContentFact::UploadReceived(_) => Some(ContentFact::UploadReady(id)),
                ContentFact::UploadReady(_) => Some(ContentFact::UploadRefused(id)),
                ContentFact::UploadRefused(_) => Some(ContentFact::UploadEnded(id)),
                ContentFact::UploadEnded(_) => Some(ContentFact::TranscodeMoved(id)),
                ContentFact::TranscodeMoved(_) => None,
            };
        }
        assert_eq!(ContentFact::of("upload_lost", Uuid::from_u128(7)), None);
    }
}
