//! What a file is, and what a platform will make of it: told before anything is planned with it.

use super::transcode::MediaTarget;

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
    /// How its points are kept, as FFmpeg calls it, as `yuv420p`; `None` when nobody looked.
    pub pixel_format: Option<String>,
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
    /// Codecs of pictures, by FFmpeg's names; advised.
    pub video_codecs_advised: &'static [&'static str],
    /// Pixel formats, by FFmpeg's names; advised.
    pub pixel_formats_advised: &'static [&'static str],
    /// Pictures in 1,000 seconds, at most; advised.
    pub frame_rate_advised_milli: u32,
    /// Codecs of sound, by FFmpeg's names; advised.
    pub audio_codecs_advised: &'static [&'static str],
    /// What a file that does not fit is made into.
    pub target: MediaTarget,
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
    /// Its picture is coded as few players can show it.
    VideoCodecUnusual,
    /// Its points are kept as few players can show them.
    PixelFormatUnusual,
    /// It has more pictures a second than are shown.
    FrameRateHigh,
    /// Its sound is coded as few players can play it.
    AudioCodecUnusual,
}

impl FindingCode {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::NotProbed,
        Self::NotMedia,
        Self::NoVideo,
        Self::ContainerRefused,
        Self::TooLarge,
        Self::TooLong,
        Self::NotPortrait,
        Self::AspectUnusual,
        Self::ResolutionLow,
        Self::VideoCodecUnusual,
        Self::PixelFormatUnusual,
        Self::FrameRateHigh,
        Self::AudioCodecUnusual,
    ];

    /// The word stores keep.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotProbed => "not_probed",
            Self::NotMedia => "not_media",
            Self::NoVideo => "no_video",
            Self::ContainerRefused => "container_refused",
            Self::TooLarge => "too_large",
            Self::TooLong => "too_long",
            Self::NotPortrait => "not_portrait",
            Self::AspectUnusual => "aspect_unusual",
            Self::ResolutionLow => "resolution_low",
            Self::VideoCodecUnusual => "video_codec_unusual",
            Self::PixelFormatUnusual => "pixel_format_unusual",
            Self::FrameRateHigh => "frame_rate_high",
            Self::AudioCodecUnusual => "audio_codec_unusual",
        }
    }

    /// The one of that word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == text)
    }
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
            Some(video) => {
                self.check_sides(video, &mut findings);
                self.check_coding(video, media.audio.as_ref(), &mut findings);
            }
        }
        findings
    }

    fn check_coding(&self, video: &VideoFacts, audio: Option<&AudioFacts>, findings: &mut Vec<Finding>) {
        use FindingCode as Code;
        let mut one_of = |code, found: &str, wanted: &[&str]| {
            if !wanted.contains(&found) {
                findings.push(Finding::new(code, Severity::Advice, &found, &wanted.join(", ")));
            }
        };
        one_of(Code::VideoCodecUnusual, &video.codec, self.video_codecs_advised);
        if let Some(format) = &video.pixel_format {
            one_of(Code::PixelFormatUnusual, format, self.pixel_formats_advised);
        }
        if let Some(audio) = audio {
            one_of(Code::AudioCodecUnusual, &audio.codec, self.audio_codecs_advised);
        }
        let (found, most) = (video.frame_rate_milli, self.frame_rate_advised_milli);
        if found > most {
            findings.push(Finding::new(Code::FrameRateHigh, Severity::Advice, &found, &most));
        }
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
pub(super) mod tests {
    use super::*;

    pub(in super::super) const RULES: MediaRules = MediaRules {
        containers: &["mp4", "webm"],
        size_max_bytes: 1_000,
        duration_max_ms: 900_000,
        short_side_advised: 720,
        portrait_advised: true,
        aspect_advised: (16, 9),
        video_codecs_advised: &["h264", "vp9"],
        pixel_formats_advised: &["yuv420p"],
        frame_rate_advised_milli: 60_000,
        audio_codecs_advised: &["aac", "opus"],
        target: MediaTarget {
            container: "mp4",
            media_type: "video/mp4",
            video_encoder: "libx264",
            pixel_format: "yuv420p",
            short_side_max: 1_080,
            frame_rate_max_milli: 60_000,
            video_rate_max_bps: 8_000_000,
            audio_encoder: "aac",
            audio_rate_bps: 128_000,
            sample_rate_hz: 44_100,
            channels_max: 2,
        },
    };

    fn media(container: &str, duration_ms: u64, sides: Option<(u32, u32)>) -> Probed {
        let video = |(width, height)| VideoFacts {
            codec: "h264".to_owned(),
            width,
            height,
            frame_rate_milli: 30_000,
            pixel_format: None,
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
    fn how_it_is_coded_is_advice_alone_and_what_nobody_looked_at_is_not_held_against_it() {
        use FindingCode as Code;
        let of = |codec: &str, format: Option<&str>, rate: u32, sound: Option<&str>| {
            let Probed::Media(mut media) = media("mp4", 1, Some((720, 1_280))) else { return Vec::new() };
            media.video = media.video.map(|video| VideoFacts {
                codec: codec.to_owned(),
                frame_rate_milli: rate,
                pixel_format: format.map(ToOwned::to_owned),
                ..video
            });
            let audio = |codec: &str| AudioFacts { codec: codec.to_owned(), channels: 2, sample_rate_hz: 1 };
            media.audio = sound.map(audio);
            let found = RULES.check(1, Some(&Probed::Media(media)));
            assert!(found.iter().all(|finding| finding.severity == Severity::Advice), "{found:?}");
            found.into_iter().map(|finding| finding.code).collect()
        };
        assert_eq!(of("h264", None, 60_000, None), []);
        assert_eq!(of("vp9", Some("yuv420p"), 0, Some("opus")), []);
        assert_eq!(of("mpeg4", None, 1, None), [Code::VideoCodecUnusual]);
        assert_eq!(of("h264", Some("yuv444p"), 1, None), [Code::PixelFormatUnusual]);
        assert_eq!(
            of("h264", None, 60_001, Some("pcm_s16le")),
            [Code::AudioCodecUnusual, Code::FrameRateHigh]
        );
        for code in Code::ALL {
            assert_eq!(Code::parse(code.as_str()), Some(code));
        }
    }

    #[test]
    fn a_finding_says_what_was_found_and_what_is_wanted() {
        let found = RULES.check(1, Some(&media("mp4", 900_001, Some((720, 1_280)))));
        assert_eq!(found[0].found.as_deref(), Some("900001"));
        assert_eq!(found[0].wanted.as_deref(), Some("900000"));
    }
}
