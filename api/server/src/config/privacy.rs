//! What is kept about persons, and for how long logs are.

use domain::kernel::outbox::Stream;

use super::sections::Reader;

/// The section `privacy` of the default file.
#[derive(Clone, Debug)]
pub struct Privacy {
    /// `backup_days`.
    pub backup_days: u32,
    /// `keep_iam_days` and so on, of the logs that are not kept for ever.
    pub keep_days: Vec<(Stream, u32)>,
}

/// How long each log has to be kept at least, in days: three years (PIPL article 56), and 190 (Cybersecurity Law of the PRC,
/// article 21, wants six months).
const LEAST: [(Stream, u32); 4] =
    [(Stream::Iam, 1_096), (Stream::Admin, 1_096), (Stream::Data, 1_096), (Stream::Access, 190)];

impl Privacy {
    pub(super) fn read(r: &mut Reader<'_>) -> Self {
        let mut keep_days = Vec::new();
        for (stream, least) in LEAST {
            let setting = format!("privacy.keep_{}_days", stream.as_str());
            let days = r.number(&setting, 0, 36_500);
            if days > 0 && days < least {
                r.fault(&setting, format!("must be at least {least}, or 0 for ever"));
            }
            if days > 0 {
                keep_days.push((stream, days));
            }
        }
        Self { backup_days: r.number("privacy.backup_days", 2, 3_650), keep_days }
    }
}
