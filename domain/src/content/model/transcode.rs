//! What is made of a file so that a platform has nothing against it, and how that goes.

use super::{
    media::{Finding, FindingCode, MediaFacts, MediaRules, Probed, VideoFacts},
    upload::UPLOAD_BYTES_MAX,
};
use crate::kernel::ids::UploadId;

/// Most transcodes of a tenant that wait or are under way at a time.
pub const TRANSCODES_OPEN_MAX: u32 = 100;

/// How often a transcode is begun before it is given up: each beginning but the first is one after a worker that died, or
/// that could not reach the store.
pub const ATTEMPTS_MAX: u32 = 5;

/// Room that a container takes beside its streams, in bytes, whatever is in it.
const CONTAINER_BYTES: u64 = 2 * 1024 * 1024;

/// How far an encoder may go over the rates it is given, in per cent.
const OVERRUN_PERCENT: u64 = 15;

/// Least picture worth having, in bits a second: what can't be made this small is not mended.
const VIDEO_RATE_MIN_BPS: u64 = 300_000;

/// What files are made into for a platform, as data, in FFmpeg's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaTarget {
    /// The container.
    pub container: &'static str,
    /// Its media type.
    pub media_type: &'static str,
    /// The encoder of pictures.
    pub video_encoder: &'static str,
    /// How a picture's points are kept.
    pub pixel_format: &'static str,
    /// Pixels of the shorter side, at most.
    pub short_side_max: u32,
    /// Pictures in 1,000 seconds, at most.
    pub frame_rate_max_milli: u32,
    /// Bits a second of the picture, at most.
    pub video_rate_max_bps: u64,
    /// The encoder of sound.
    pub audio_encoder: &'static str,
    /// Bits a second of the sound.
    pub audio_rate_bps: u64,
    /// Samples a second.
    pub sample_rate_hz: u32,
    /// Channels, at most.
    pub channels_max: u32,
}

/// How one file is made of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// What it is made into.
    pub target: MediaTarget,
    /// Pixels across; even.
    pub width: u32,
    /// Pixels down; even.
    pub height: u32,
    /// Pictures in 1,000 seconds, when there are too many, or nobody knows how many.
    pub frame_rate_milli: Option<u32>,
    /// Bits a second of the picture, at most.
    pub video_rate_bps: u64,
    /// How long the source plays, in milliseconds.
    pub duration_ms: u64,
    /// Longest play of what is made, in milliseconds.
    pub duration_max_ms: u64,
    /// Longest file that may come of it, in bytes.
    pub output_max_bytes: u64,
    /// What it mends.
    pub mends: Vec<FindingCode>,
}

/// Why a file is not mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmended {
    /// The platform has nothing against it.
    NothingToMend,
    /// Making another file of it does not mend this.
    NotMendable(FindingCode),
}

/// Why a transcode came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TranscodeFailure {
    /// The source can't be decoded from one end to the other.
    Unreadable,
    /// It would have become longer than it may, in bytes.
    TooLarge,
    /// It took more time than it may.
    TooSlow,
    /// The source was thrown away meanwhile, or the platform's rules are others now.
    SourceGone,
    /// It was begun several times and never came to an end.
    BrokeOff,
}

impl TranscodeFailure {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Unreadable, Self::TooLarge, Self::TooSlow, Self::SourceGone, Self::BrokeOff];

    /// The word stores keep.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::TooLarge => "too_large",
            Self::TooSlow => "too_slow",
            Self::SourceGone => "source_gone",
            Self::BrokeOff => "broke_off",
        }
    }

    /// The one of that word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|failure| failure.as_str() == text)
    }
}

/// How an upload came to be that was made of another, or is being made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transcode {
    /// The upload it is.
    pub upload: UploadId,
    /// The upload it is made of.
    pub source: UploadId,
    /// The platform it is for.
    pub platform: String,
    /// The recipe in words, by which one that was asked for already is known.
    pub recipe: String,
    /// What it mends.
    pub mends: Vec<FindingCode>,
    /// How much of it is done.
    pub done_permille: u32,
    /// How often it was begun.
    pub attempts: u32,
    /// Why it came to nothing, if it did.
    pub failure: Option<TranscodeFailure>,
}

/// Even, as encoders of 4:2:0 pictures need it.
const fn even(pixels: u32) -> u32 {
    if pixels < 2 { 2 } else { pixels / 2 * 2 }
}

/// `part` of `whole` of `amount`, in pixels.
fn share(amount: u32, (part, whole): (u32, u32)) -> u32 {
    let pixels = u64::from(amount) * u64::from(part) / u64::from(whole.max(1));
    u32::try_from(pixels).unwrap_or(u32::MAX)
}

impl Recipe {
    /// The recipe in words: the same words, the same file.
    pub fn words(&self) -> String {
        let Self { target: t, width, height, video_rate_bps, .. } = self;
        let rate = self.frame_rate_milli.map_or_else(|| "as-is".to_owned(), |rate| rate.to_string());
        format!(
            "1 {} {} {} {width}x{height} {rate} {video_rate_bps} {} {} {} {}",
            t.container,
            t.video_encoder,
            t.pixel_format,
            t.audio_encoder,
            t.audio_rate_bps,
            t.sample_rate_hz,
            t.channels_max
        )
    }

    /// How much is done when that much of it plays; all of it only once it ended.
    pub fn permille(&self, done_ms: u64) -> u32 {
        let permille = done_ms.saturating_mul(1_000) / self.duration_ms.max(1);
        u32::try_from(permille.min(999)).unwrap_or(999)
    }
}

impl FindingCode {
    /// Whether another file can be made that has not got it.
    pub const fn is_mendable(self) -> bool {
        match self {
            Self::ContainerRefused
            | Self::TooLarge
            | Self::NotPortrait
            | Self::AspectUnusual
            | Self::ResolutionLow
            | Self::VideoCodecUnusual
            | Self::PixelFormatUnusual
            | Self::FrameRateHigh
            | Self::AudioCodecUnusual => true,
            Self::NotProbed | Self::NotMedia | Self::NoVideo | Self::TooLong => false,
        }
    }
}

impl MediaRules {
    /// How a file that has nothing against it is made of one of that length that was probed so.
    ///
    /// # Errors
    /// There is nothing to mend, or something that can't be.
    pub fn recipe(&self, size_bytes: u64, probed: Option<&Probed>) -> Result<Recipe, Unmended> {
        let findings = self.check(size_bytes, probed);
        if findings.is_empty() {
            return Err(Unmended::NothingToMend);
        }
        if let Some(finding) = findings.iter().find(|finding| !finding.code.is_mendable()) {
            return Err(Unmended::NotMendable(finding.code));
        }
        let Some(Probed::Media(media)) = probed else {
            return Err(Unmended::NotMendable(FindingCode::NotMedia));
        };
        let video = media.video.as_ref().ok_or(Unmended::NotMendable(FindingCode::NoVideo))?;
        // A picture without an extent, or one that does not move: nothing that plays comes of it.
        if video.width == 0 || video.height == 0 || media.duration_ms == 0 {
            return Err(Unmended::NotMendable(FindingCode::NotMedia));
        }
        self.recipe_for(media, video, &findings)
    }

    fn recipe_for(
        &self,
        media: &MediaFacts,
        video: &VideoFacts,
        findings: &[Finding],
    ) -> Result<Recipe, Unmended> {
        let target = self.target.clone();
        let size_max = self.size_max_bytes.min(UPLOAD_BYTES_MAX);
        // What a file of the longest size may have each second, less what goes over and around.
        let within = size_max.saturating_sub(CONTAINER_BYTES).saturating_mul(8_000) / media.duration_ms;
        let within = within * 100 / (100 + OVERRUN_PERCENT);
        let video_rate_bps = target.video_rate_max_bps.min(within.saturating_sub(target.audio_rate_bps));
        if video_rate_bps < VIDEO_RATE_MIN_BPS {
            return Err(Unmended::NotMendable(FindingCode::TooLarge));
        }
        let rates = video_rate_bps + target.audio_rate_bps;
        let streams = rates.saturating_mul(media.duration_ms) / 8_000;
        let output_max_bytes = streams * (100 + OVERRUN_PERCENT) / 100 + CONTAINER_BYTES;
        let (width, height) = self.sides(video, findings);
        let is_fast = video.frame_rate_milli == 0 || video.frame_rate_milli > target.frame_rate_max_milli;
        Ok(Recipe {
            width,
            height,
            frame_rate_milli: is_fast.then_some(target.frame_rate_max_milli),
            video_rate_bps,
            duration_ms: media.duration_ms,
            duration_max_ms: self.duration_max_ms,
            output_max_bytes: output_max_bytes.min(size_max),
            mends: findings.iter().map(|finding| finding.code).collect(),
            target,
        })
    }

    /// The sides of what is made: those advised when something was said against the source's, its own otherwise, and no
    /// larger than is of use.
    fn sides(&self, video: &VideoFacts, findings: &[Finding]) -> (u32, u32) {
        use FindingCode::{AspectUnusual, NotPortrait, ResolutionLow};
        let is_of_sides =
            |finding: &Finding| matches!(finding.code, NotPortrait | AspectUnusual | ResolutionLow);
        let most = self.target.short_side_max;
        if findings.iter().any(is_of_sides) {
            let short = even(video.width.clamp(self.short_side_advised, most.max(self.short_side_advised)));
            let long = even(share(short, self.aspect_advised));
            return if self.portrait_advised || video.height >= video.width {
                (short, long)
            } else {
                (long, short)
            };
        }
        let short = video.width.min(video.height);
        if short <= most {
            return (even(video.width), even(video.height));
        }
        (even(share(video.width, (most, short))), even(share(video.height, (most, short))))
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::media::{AudioFacts, tests::RULES},
        *,
    };

    fn media(container: &str, codec: &str, pixels: &str, sides: (u32, u32), duration_ms: u64) -> Probed {
        Probed::Media(MediaFacts {
            container: container.to_owned(),
            duration_ms,
            video: Some(VideoFacts {
                codec: codec.to_owned(),
                width: sides.0,
                height: sides.1,
                frame_rate_milli: 30_000,
                pixel_format: Some(pixels.to_owned()),
            }),
            audio: Some(AudioFacts { codec: "aac".to_owned(), channels: 2, sample_rate_hz: 44_100 }),
        })
    }

    fn roomy() -> MediaRules {
        MediaRules { size_max_bytes: 4_000_000_000, ..RULES }
    }

    #[test]
    fn what_can_be_mended_is_and_the_rest_is_said() {
        use FindingCode as Code;
        let upright = (720, 1_280);
        let of = |rules: &MediaRules, size: u64, probed: &Probed| {
            rules.recipe(size, Some(probed)).map(|recipe| recipe.mends)
        };
        let good = media("mp4", "h264", "yuv420p", upright, 1_000);
        assert_eq!(of(&roomy(), 1, &good), Err(Unmended::NothingToMend));
        for (probed, expected) in [
            (media("avi", "h264", "yuv420p", upright, 1_000), vec![Code::ContainerRefused]),
            (media("mp4", "mpeg4", "yuv420p", upright, 1_000), vec![Code::VideoCodecUnusual]),
            (media("mp4", "h264", "yuv444p10le", upright, 1_000), vec![Code::PixelFormatUnusual]),
            (media("mp4", "h264", "yuv420p", (540, 960), 1_000), vec![Code::ResolutionLow]),
        ] {
            assert_eq!(of(&roomy(), 1, &probed), Ok(expected), "{probed:?}");
        }
        for (probed, code) in [
            (media("avi", "h264", "yuv420p", upright, 900_001), Code::TooLong),
            (media("avi", "h264", "yuv420p", upright, 0), Code::NotMedia),
            (media("avi", "h264", "yuv420p", (0, 0), 1_000), Code::NotMedia),
            (Probed::NotMedia, Code::NotMedia),
        ] {
            assert_eq!(of(&roomy(), 1, &probed), Err(Unmended::NotMendable(code)), "{probed:?}");
        }
        assert_eq!(roomy().recipe(1, None), Err(Unmended::NotMendable(Code::NotProbed)));
        // Fifteen minutes in a thousand bytes would be no picture any more.
        let long = media("mp4", "h264", "yuv420p", upright, 900_000);
        assert_eq!(of(&RULES, 2_000, &long), Err(Unmended::NotMendable(Code::TooLarge)));
        let large = MediaRules { size_max_bytes: 100_000_000, ..RULES };
        let recipe = large.recipe(200_000_000, Some(&long)).expect("it can be made smaller");
        assert!(recipe.video_rate_bps < RULES.target.video_rate_max_bps, "{recipe:?}");
        assert!(recipe.output_max_bytes <= 100_000_000, "{recipe:?}");
    }

    #[test]
    fn sides_are_those_advised_or_the_sources_own_and_always_even() {
        for (sides, expected) in [
            ((640, 360), (720, 1_280)),
            ((1_920, 1_080), (1_080, 1_920)),
            ((721, 1_281), (720, 1_280)),
            ((540, 960), (720, 1_280)),
            ((1_000, 1_000), (1_000, 1_776)),
            ((2_160, 3_840), (1_080, 1_920)),
        ] {
            let recipe = roomy().recipe(1, Some(&media("avi", "h264", "yuv420p", sides, 1_000)));
            let recipe = recipe.expect("mendable");
            assert_eq!((recipe.width, recipe.height), expected, "{sides:?}");
            let made = media("mp4", "h264", "yuv420p", expected, 1_000);
            assert_eq!(roomy().check(1, Some(&made)), [], "{sides:?}");
        }
    }

    #[test]
    fn the_same_words_are_the_same_recipe() {
        let recipe = |sides| roomy().recipe(1, Some(&media("avi", "h264", "yuv420p", sides, 1_000)));
        let (one, same, other) =
            (recipe((720, 1_280)).unwrap(), recipe((721, 1_281)).unwrap(), recipe((1_080, 1_920)).unwrap());
        assert_eq!(one.words(), same.words());
        assert_ne!(one.words(), other.words());
        assert_eq!((one.permille(0), one.permille(500), one.permille(5_000)), (0, 500, 999));
        for failure in TranscodeFailure::ALL {
            assert_eq!(TranscodeFailure::parse(failure.as_str()), Some(failure));
        }
    }
}
