//! What FFmpeg's programs are told, and how they are held.

use std::{ffi::OsString, path::Path};

use domain::content::model::Recipe;

/// Containers that are looked into. Playlists (HLS, DASH, concat) are not among them: they name other files.
pub(super) const FORMATS: &str = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,avi,flv,gif,png_pipe,jpeg_pipe,webp_pipe,mp3,wav,flac,ogg,aac";

/// Most memory of a run, in bytes of address space.
pub(super) const MEMORY_MAX: &str = "--as=4294967296";

/// Threads of each decoder and encoder: half of what a small machine has for its callers as well.
const THREADS: u64 = 2;

/// Most points of a picture that is decoded: 8K, either way up.
const PIXELS_MAX: &str = "35389440";

/// Least time a run is given, in seconds, and how many times as long as the file plays it is given besides. The slowest
/// machine seen here makes a third of a second of 1080p in a second.
const TIME_MIN_S: u64 = 300;
const TIME_PER_PLAY: u64 = 20;

/// A name of a file that FFmpeg takes for nothing else.
pub(super) fn file_url(path: &Path) -> OsString {
    let mut url = OsString::from("file:");
    url.push(path);
    url
}

/// Longest a run may take, in seconds.
pub(super) fn time_max_s(recipe: &Recipe) -> u64 {
    TIME_MIN_S + recipe.duration_ms.min(recipe.duration_max_ms) * TIME_PER_PLAY / 1_000
}

/// What goes before `ffmpeg` itself. Each of these programs turns into the next, so that all of it is one process: behind
/// everybody else at the processor, killed when the thread that began it dies, bounded in memory, processor time and what
/// it writes, and without a picture of its memory when it is killed.
pub(super) fn confinement(recipe: &Recipe) -> Vec<String> {
    // The kernel kills at the second; the first is told, and so known from other ends.
    let most = time_max_s(recipe) * THREADS;
    let cpu = format!("--cpu={most}:{}", most + 30);
    let size = format!("--fsize={}", recipe.output_max_bytes);
    [
        "-n",
        "10",
        "setpriv",
        "--no-new-privs",
        "--pdeathsig",
        "KILL",
        "prlimit",
        MEMORY_MAX,
        &cpu,
        &size,
        "--core=0",
        "ffmpeg",
    ]
    .map(ToOwned::to_owned)
    .to_vec()
}

/// The filters of a picture: into the sides wanted, as large as it fits, the rest black, points square.
fn filters(recipe: &Recipe) -> String {
    let (w, h) = (recipe.width, recipe.height);
    format!(
        "scale={w}:{h}:force_original_aspect_ratio=decrease:force_divisible_by=2,\
         pad={w}:{h}:(ow-iw)/2:(oh-ih)/2,setsar=1,format={}",
        recipe.target.pixel_format
    )
}

/// What `ffmpeg` is told (ffmpeg's documentation of version 5.1, read 2026-11-27): the first picture and the first sound
/// of `from`, and nothing else of it, made into `to`; how far it is goes to standard output. Demuxers that open other
/// files are none of those allowed, and no protocol but that of files is.
pub(super) fn arguments(recipe: &Recipe, from: &Path, to: &Path) -> Vec<OsString> {
    let target = &recipe.target;
    let threads = THREADS.to_string();
    let rate = |bps: u64| bps.to_string();
    let seconds = format!("{}.{:03}", recipe.duration_max_ms / 1_000, recipe.duration_max_ms % 1_000);
    let mut all: Vec<OsString> = Vec::new();
    let mut say = |words: &[&str]| all.extend(words.iter().map(OsString::from));
    say(&["-nostdin", "-hide_banner", "-v", "error", "-xerror", "-nostats"]);
    say(&["-progress", "pipe:1", "-stats_period", "0.5", "-filter_threads", "1"]);
    say(&["-protocol_whitelist", "file", "-format_whitelist", FORMATS]);
    say(&["-threads", &threads, "-max_pixels", PIXELS_MAX, "-i"]);
    all.push(file_url(from));
    let mut say = |words: &[&str]| all.extend(words.iter().map(OsString::from));
    // `V` leaves cover pictures out. What the source says of itself (places, names) is nobody's business.
    say(&["-map", "0:V:0", "-map", "0:a:0?", "-map_metadata", "-1", "-map_chapters", "-1", "-sn", "-dn"]);
    say(&["-t", &seconds, "-vf", &filters(recipe), "-fps_mode", "vfr"]);
    if let Some(milli) = recipe.frame_rate_milli {
        say(&["-fpsmax", &format!("{milli}/1000")]);
    }
    say(&["-c:v", target.video_encoder, "-preset", "veryfast", "-profile:v", "high", "-crf", "20"]);
    say(&["-maxrate", &rate(recipe.video_rate_bps), "-bufsize", &rate(recipe.video_rate_bps)]);
    say(&["-threads", &threads, "-c:a", target.audio_encoder, "-b:a", &rate(target.audio_rate_bps)]);
    say(&["-ar", &target.sample_rate_hz.to_string(), "-ac", &target.channels_max.to_string()]);
    say(&["-movflags", "+faststart", "-f", target.container, "-y"]);
    all.push(file_url(to));
    all
}

#[cfg(test)]
pub(super) mod tests {
    use domain::content::model::{FindingCode, MediaTarget};

    use super::*;

    pub(in crate::ffmpeg) fn recipe(frame_rate_milli: Option<u32>) -> Recipe {
        Recipe {
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
            width: 720,
            height: 1_280,
            frame_rate_milli,
            video_rate_bps: 5_000_000,
            duration_ms: 10_000,
            duration_max_ms: 900_250,
            output_max_bytes: 7_000_000,
            mends: vec![FindingCode::ContainerRefused],
        }
    }

    fn told(recipe: &Recipe) -> Vec<String> {
        let all = arguments(recipe, Path::new("/s/in"), Path::new("/s/out"));
        all.into_iter().map(|word| word.into_string().unwrap()).collect()
    }

    /// Whether `words` are said one behind the other.
    fn says(all: &[String], words: &[&str]) -> bool {
        all.windows(words.len()).any(|window| window == words)
    }

    #[test]
    fn the_input_is_confined_before_it_is_named_and_the_output_is_as_the_recipe_says() {
        let all = told(&recipe(None));
        let at = |word: &str| all.iter().position(|said| said == word).unwrap();
        let input = at("file:/s/in");
        for bound in ["-nostdin", "-protocol_whitelist", "-format_whitelist", "-max_pixels"] {
            assert!(at(bound) < input, "{bound} holds the input");
        }
        assert!(says(&all, &["-protocol_whitelist", "file"]));
        for words in [
            ["-c:v", "libx264"],
            ["-maxrate", "5000000"],
            ["-bufsize", "5000000"],
            ["-t", "900.250"],
            ["-c:a", "aac"],
            ["-ar", "44100"],
            ["-ac", "2"],
            ["-f", "mp4"],
            ["-map_metadata", "-1"],
        ] {
            assert!(says(&all, &words), "{words:?} in {all:?}");
        }
        let filters = &all[at("-vf") + 1];
        assert!(filters.contains("pad=720:1280:") && filters.ends_with("format=yuv420p"), "{filters}");
        assert_eq!(all.last().map(String::as_str), Some("file:/s/out"));
        assert!(!all.iter().any(|word| word == "-fpsmax"), "as it is");
        assert!(says(&told(&recipe(Some(60_000))), &["-fpsmax", "60000/1000"]));
    }

    #[test]
    fn a_run_is_bounded_by_what_it_makes() {
        let held = confinement(&recipe(None));
        assert!(
            says(&held, &["setpriv", "--no-new-privs", "--pdeathsig", "KILL", "prlimit", "--as=4294967296"]),
            "{held:?}"
        );
        assert!(says(&held, &["--cpu=1000:1030", "--fsize=7000000", "--core=0", "ffmpeg"]), "{held:?}");
        let long = Recipe { duration_ms: u64::MAX, ..recipe(None) };
        assert_eq!(time_max_s(&long), 300 + 18_005, "what a file claims does not count beyond the longest");
    }
}
