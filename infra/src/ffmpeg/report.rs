//! What `ffprobe -of json` says (ffprobe's documentation, section 4.6, read 2026-11-26), and what is made of it.

use domain::content::model::{AudioFacts, MediaFacts, Probed, VideoFacts};
use serde::Deserialize;

#[derive(Deserialize)]
struct Report {
    #[serde(default)]
    streams: Vec<Stream>,
    #[serde(default)]
    format: Format,
}

#[derive(Default, Deserialize)]
struct Format {
    #[serde(default)]
    format_name: String,
    duration: Option<String>,
}

#[derive(Deserialize)]
struct Stream {
    #[serde(default)]
    codec_type: String,
    #[serde(default)]
    codec_name: String,
    #[serde(default)]
    width: u32,
    #[serde(default)]
    height: u32,
    #[serde(default)]
    avg_frame_rate: String,
    pix_fmt: Option<String>,
    #[serde(default)]
    channels: u32,
    sample_rate: Option<String>,
    #[serde(default)]
    disposition: Disposition,
    #[serde(default)]
    side_data_list: Vec<SideData>,
}

#[derive(Default, Deserialize)]
struct Disposition {
    /// 1 for a cover picture, which is no video.
    #[serde(default)]
    attached_pic: u8,
}

#[derive(Deserialize)]
struct SideData {
    /// Degrees, counter-clockwise.
    rotation: Option<i32>,
}

/// The one name of a container whose files go by many.
fn container(names: &str) -> String {
    let all: Vec<_> = names.split(',').collect();
    let known = ["mp4", "webm", "mpegts", "avi", "flv", "gif"];
    let name = known.into_iter().find(|name| all.contains(name)).or(all.first().copied());
    name.unwrap_or_default().to_owned()
}

/// Milliseconds of decimal seconds, as `12.345000`.
fn millis(seconds: &str) -> Option<u64> {
    let (whole, part) = seconds.split_once('.').unwrap_or((seconds, ""));
    let part: String = part.chars().chain("000".chars()).take(3).collect();
    whole.parse::<u64>().ok()?.checked_mul(1_000)?.checked_add(part.parse().ok()?)
}

/// A thousand times a fraction, as `30000/1001`.
fn milli(fraction: &str) -> Option<u32> {
    let (above, below) = fraction.split_once('/')?;
    let (above, below) = (above.parse::<u64>().ok()?, below.parse::<u64>().ok()?);
    u32::try_from(above.checked_mul(1_000)?.checked_div(below)?).ok()
}

fn video(stream: &Stream) -> VideoFacts {
    let turned =
        stream.side_data_list.iter().find_map(|data| data.rotation).unwrap_or(0).rem_euclid(180) == 90;
    let (width, height) = if turned { (stream.height, stream.width) } else { (stream.width, stream.height) };
    VideoFacts {
        codec: stream.codec_name.clone(),
        width,
        height,
        frame_rate_milli: milli(&stream.avg_frame_rate).unwrap_or(0),
        pixel_format: stream.pix_fmt.clone(),
    }
}

fn audio(stream: &Stream) -> AudioFacts {
    AudioFacts {
        codec: stream.codec_name.clone(),
        channels: stream.channels,
        sample_rate_hz: stream.sample_rate.as_deref().and_then(|rate| rate.parse().ok()).unwrap_or(0),
    }
}

/// What a report says; a report that can't be read tells of a file that can't.
pub(super) fn read(report: &[u8]) -> Probed {
    let Ok(report) = serde_json::from_slice::<Report>(report) else { return Probed::NotMedia };
    let of = |kind: &str| {
        let is_one = |stream: &&Stream| stream.codec_type == kind && stream.disposition.attached_pic == 0;
        report.streams.iter().find(is_one)
    };
    let (video, audio) = (of("video").map(video), of("audio").map(audio));
    if video.is_none() && audio.is_none() {
        return Probed::NotMedia;
    }
    Probed::Media(MediaFacts {
        container: container(&report.format.format_name),
        duration_ms: report.format.duration.as_deref().and_then(millis).unwrap_or(0),
        video,
        audio,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_and_a_phones_turn_is_heeded() {
        let report = br#"{"streams":[
            {"codec_type":"video","codec_name":"mjpeg","width":9,"height":9,"disposition":{"attached_pic":1}},
            {"codec_type":"audio","codec_name":"aac","channels":2,"sample_rate":"44100"},
            {"codec_type":"video","codec_name":"hevc","width":1920,"height":1080,"avg_frame_rate":"30000/1001","pix_fmt":"yuv420p10le",
             "side_data_list":[{"side_data_type":"Display Matrix","rotation":-90}]}],
            "format":{"format_name":"mov,mp4,m4a,3gp,3g2,mj2","duration":"12.345678"}}"#;
        let expected = MediaFacts {
            container: "mp4".to_owned(),
            duration_ms: 12_345,
            video: Some(VideoFacts {
                codec: "hevc".to_owned(),
                width: 1_080,
                height: 1_920,
                frame_rate_milli: 29_970,
                pixel_format: Some("yuv420p10le".to_owned()),
            }),
            audio: Some(AudioFacts { codec: "aac".to_owned(), channels: 2, sample_rate_hz: 44_100 }),
        };
        assert_eq!(read(report), Probed::Media(expected));
    }

    #[test]
    fn what_is_not_said_is_not_made_up() {
        for (report, is_media) in [
            ("", false),
            ("{}", false),
            (r#"{"streams":[{"codec_type":"data"}],"format":{}}"#, false),
            (
                r#"{"streams":[{"codec_type":"video","avg_frame_rate":"0/0"}],"format":{"duration":"N/A"}}"#,
                true,
            ),
            (r#"{"streams":[{"codec_type":"video","width":-1}]}"#, false),
        ] {
            assert_eq!(matches!(read(report.as_bytes()), Probed::Media(_)), is_media, "{report}");
        }
        assert_eq!(container("matroska,webm"), "webm");
        assert_eq!(
            (millis("7"), millis("7.5"), millis("x"), millis("-1")),
            (Some(7_000), Some(7_500), None, None)
        );
        assert_eq!((milli("25/1"), milli("0/0"), milli("1")), (Some(25_000), None, None));
    }
}
