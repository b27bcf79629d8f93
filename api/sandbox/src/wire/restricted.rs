//! Families that few apps are let into: star map, task box, showcase, search. They are refused unless a switch opens them, and
//! then answer with nothing in them.

use serde_json::json;

use super::{
    call::{Call, Reply},
    envelope::{Envelope, seal},
};
use crate::platform::{Platform, refusal::Refusal};

const FAMILIES: [(&str, Envelope); 6] = [
    ("/star/", Envelope::A),
    ("/open_api/2/star/", Envelope::A),
    ("/api/match/", Envelope::B),
    ("/buyin/", Envelope::A),
    ("/alliance/", Envelope::A),
    ("/video/search/", Envelope::A),
];

/// The answer, when the path is of one of these families.
pub(super) fn serve(platform: &Platform, call: &Call) -> Option<Reply> {
    let (_, envelope) = FAMILIES.iter().find(|(path, _)| call.path.starts_with(path))?;
    let result = if platform.switches.open_restricted {
        Ok(json!({ "list": [] }))
    } else {
        Err(Refusal::Code(28_001_018))
    };
    Some(seal(platform, call, *envelope, result))
}
