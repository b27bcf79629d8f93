//! What a file is, and what a platform will make of it: told before anything is planned with it.

/// What is known of a picture that moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoFacts {
    /// As FFmpeg calls it, as `h264`.
    pub codec: String,
    /// Pixels across, as it is shown: turned, if it is to be.
    pub width: u32,
    /// Pixels down, as it is shown.
    pub height: u32,
    /// Pictures in 1,000 seconds; 0 when that is not known.
    pub frame_rate_milli: u32,
}

/// What is known of sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudioFacts {
    /// As FFmpeg calls it, as `aac`.
    pub codec: String,
    /// How many channels.
    pub channels: u32,
    /// Samples a second.
    pub sample_rate_hz: u32,
}

/// What a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaFacts {
    /// As FFmpeg calls it, one of its names, as `mp4`.
    pub container: String,
    /// How long it plays; 0 for a still picture.
    pub duration_ms: u64,
    /// The first picture in it.
    pub video: Option<VideoFacts>,
    /// The first sound in it.
    pub audio: Option<AudioFacts>,
}

/// What a probe made of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probed {
    /// Picture or sound.
    Media(MediaFacts),
    /// Neither, or broken.
    NotMedia,
}

/// What a platform takes, as data. What is only advised is marked so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaRules {
    /// Containers, by FFmpeg's names.
    pub containers: &'static [&'static str],
    /// Longest file, in bytes.
    pub size_max_bytes: u64,
    /// Longest play, in milliseconds.
    pub duration_max_ms: u64,
    /// Pixels of the shorter side, at least; advised.
    pub short_side_advised: u32,
    /// Whether upright is advised.
    pub portrait_advised: bool,
    /// Longer side to shorter side; advised.
    pub aspect_advised: (u32, u32),
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Severity {
    /// The platform will refuse it.
    Blocking,
    /// The platform takes it, and advises otherwise.
    Advice,
}

/// What there is to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FindingCode {
    /// It was not looked at: there is no probe here, or it failed.
    NotProbed,
    /// It is neither picture nor sound, or broken.
    NotMedia,
    /// There is no picture in it.
    NoVideo,
    /// Its container is none the platform takes.
    ContainerRefused,
    /// It is too large.
    TooLarge,
    /// It plays too long.
    TooLong,
    /// It is wider than high.
    NotPortrait,
    /// Its sides are not as advised.
    AspectUnusual,
    /// It has few pixels.
    ResolutionLow,
}

/// One thing to say of a file and a platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub code: FindingCode,
    /// How bad.
    pub severity: Severity,
    /// What was found, in the rule's unit.
    pub found: Option<String>,
    /// What the rule asks for.
    pub wanted: Option<String>,
}

impl Finding {
    fn bare(code: FindingCode) -> Self {
        Self { code, severity: Severity::Blocking, found: None, wanted: None }
    }

    fn new(code: FindingCode, severity: Severity, found: &impl ToString, wanted: &impl ToString) -> Self {
        Self { code, severity, found: Some(found.to_string()), wanted: Some(wanted.to_string()) }
    }
}

/// How far sides may be from those advised, in per mille: a row of pixels more or less is nobody's business.
const ASPECT_TOLERANCE_PERMILLE: u64 = 15;

impl MediaRules {
    /// All there is to say of a file of that length that was probed so, the worst first.
    pub fn check(&self, size_bytes: u64, probed: Option<&Probed>) -> Vec<Finding> {
        use {FindingCode as Code, Severity::Blocking};
        let mut findings = Vec::new();
        if size_bytes > self.size_max_bytes {
            findings.push(Finding::new(Code::TooLarge, Blocking, &size_bytes, &self.size_max_bytes));
        }
        let media = match probed {
            None => {
                findings.push(Finding::bare(Code::NotProbed));
                return findings;
            }
            Some(Probed::NotMedia) => {
                findings.push(Finding::bare(Code::NotMedia));
                return findings;
            }
            Some(Probed::Media(media)) => media,
        };
        if !self.containers.contains(&media.container.as_str()) {
            let wanted = self.containers.join(", ");
            findings.push(Finding::new(Code::ContainerRefused, Blocking, &media.container, &wanted));
        }
        if media.duration_ms > self.duration_max_ms {
            findings.push(Finding::new(Code::TooLong, Blocking, &media.duration_ms, &self.duration_max_ms));
        }
        match &media.video {
            None => findings.push(Finding::bare(Code::NoVideo)),
            Some(video) => self.check_sides(video, &mut findings),
        }
        findings
    }

    fn check_sides(&self, video: &VideoFacts, findings: &mut Vec<Finding>) {
        use {FindingCode as Code, Severity::Advice};
        let sides = format!("{}x{}", video.width, video.height);
        let (long, short) = (video.width.max(video.height), video.width.min(video.height));
        if self.portrait_advised && video.width > video.height {
            findings.push(Finding::new(Code::NotPortrait, Advice, &sides, &"higher than wide"));
        }
        let (a, b) = self.aspect_advised;
        let (found, wanted) = (u64::from(long) * u64::from(b), u64::from(short) * u64::from(a));
        if found.abs_diff(wanted) * 1_000 > wanted * ASPECT_TOLERANCE_PERMILLE {
            findings.push(Finding::new(Code::AspectUnusual, Advice, &sides, &format!("{a}:{b}")));
        }
        if short < self.short_side_advised {
            findings.push(Finding::new(Code::ResolutionLow, Advice, &short, &self.short_side_advised));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: MediaRules = MediaRules {
        containers: &["mp4", "webm"],
        size_max_bytes: 1_000,
        duration_max_ms: 900_000,
        short_side_advised: 720,
        portrait_advised: true,
        aspect_advised: (16, 9),
    };

    fn media(container: &str, duration_ms: u64, sides: Option<(u32, u32)>) -> Probed {
        let video = |(width, height)| VideoFacts {
            codec: "h264".to_owned(),
            width,
            height,
            frame_rate_milli: 30_000,
        };
        Probed::Media(MediaFacts {
            container: container.to_owned(),
            duration_ms,
            video: sides.map(video),
            audio: None,
        })
    }

    fn check(size_bytes: u64, probed: Option<&Probed>, expected: &[(FindingCode, Severity)]) {
        let found: Vec<_> = RULES
            .check(size_bytes, probed)
            .into_iter()
            .map(|finding| (finding.code, finding.severity))
            .collect();
        assert_eq!(found, expected, "{size_bytes} {probed:?}");
    }

    #[test]
    fn what_a_platform_will_say_is_said_before() {
        use FindingCode as Code;
        use Severity::{Advice, Blocking};
        const UPRIGHT: Option<(u32, u32)> = Some((720, 1_280));
        check(1_000, Some(&media("mp4", 900_000, UPRIGHT)), &[]);
        check(1_000, Some(&media("webm", 0, Some((1_080, 1_920)))), &[]);
        check(1_001, Some(&media("mp4", 1, UPRIGHT)), &[(Code::TooLarge, Blocking)]);
        check(1, Some(&media("mp4", 900_001, UPRIGHT)), &[(Code::TooLong, Blocking)]);
        check(1, Some(&media("avi", 1, UPRIGHT)), &[(Code::ContainerRefused, Blocking)]);
        check(1, Some(&media("mp4", 1, None)), &[(Code::NoVideo, Blocking)]);
        check(1, Some(&Probed::NotMedia), &[(Code::NotMedia, Blocking)]);
        check(2_000, None, &[(Code::TooLarge, Blocking), (Code::NotProbed, Blocking)]);
        check(1, Some(&media("mp4", 1, Some((1_280, 720)))), &[(Code::NotPortrait, Advice)]);
        check(1, Some(&media("mp4", 1, Some((720, 720)))), &[(Code::AspectUnusual, Advice)]);
        check(1, Some(&media("mp4", 1, Some((540, 960)))), &[(Code::ResolutionLow, Advice)]);
        // A row of pixels more.
        check(1, Some(&media("mp4", 1, Some((720, 1_281)))), &[]);
        check(
            1,
            Some(&media("mp4", 1, Some((400, 300)))),
            &[(Code::NotPortrait, Advice), (Code::AspectUnusual, Advice), (Code::ResolutionLow, Advice)],
        );
        check(1, Some(&media("mp4", 1, Some((0, 0)))), &[(Code::ResolutionLow, Advice)]);
    }

    #[test]
    fn a_finding_says_what_was_found_and_what_is_wanted() {
        let found = RULES.check(1, Some(&media("mp4", 900_001, Some((720, 1_280)))));
        assert_eq!(found[0].found.as_deref(), Some("900001"));
        assert_eq!(found[0].wanted.as_deref(), Some("900000"));
    }
}
