//! Types of content, converted by hand: the schema is a promise of its own.

use async_graphql::{Context, Enum, ID, SimpleObject};
use chrono::{DateTime, Utc};
use domain::content::model;
use output::Output;

use crate::{
    app::App,
    graphql::{
        command::app,
        connection::{connection, connection_fields},
        error::ApiError,
        reading::reading,
        scalars::{Kind, global_id},
    },
    hex::hex,
};

/// Where an upload stands.
#[derive(Enum, Output, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "model::UploadState")]
pub enum UploadState {
    /// Bytes are missing.
    Receiving,
    /// All bytes are here and are being read back.
    Checking,
    /// It can be used.
    Ready,
    /// Its digest is another than the one announced.
    DigestWrong,
    /// Somebody gave it up.
    Cancelled,
    /// It did not arrive in time.
    Expired,
    /// It is part of another file now.
    Absorbed,
    /// It is being made of another file, or waits for it; `sizeBytes` is the most it may come to.
    Transcoding,
    /// Nothing came of making it; `transcode` says why.
    TranscodeFailed,
}

/// What is known of a picture that moves.
#[derive(SimpleObject, Output, Clone)]
pub struct VideoFacts {
    /// As FFmpeg calls it, as `h264`.
    codec: String,
    /// Pixels across, as it is shown.
    width: u32,
    /// Pixels down, as it is shown.
    height: u32,
    /// Pictures in 1,000 seconds; 0 when that is not known.
    frame_rate_milli: u32,
    /// How its points are kept, as FFmpeg calls it, as `yuv420p`; null when nobody looked.
    pixel_format: Option<String>,
}

/// What is known of sound.
#[derive(SimpleObject, Output, Clone)]
pub struct AudioFacts {
    /// As FFmpeg calls it, as `aac`.
    codec: String,
    /// How many channels.
    channels: u32,
    /// Samples a second.
    sample_rate_hz: u32,
}

/// What a file is.
#[derive(SimpleObject, Output, Clone)]
pub struct MediaFacts {
    /// As FFmpeg calls it, one of its names, as `mp4`.
    container: String,
    /// How long it plays, in milliseconds; 0 for a still picture.
    duration_ms: String,
    /// The first picture in it.
    video: Option<VideoFacts>,
    /// The first sound in it.
    audio: Option<AudioFacts>,
}

impl From<&model::MediaFacts> for MediaFacts {
    fn from(media: &model::MediaFacts) -> Self {
        Self {
            container: media.container.clone(),
            duration_ms: media.duration_ms.to_string(),
            video: media.video.as_ref().map(|video| VideoFacts {
                codec: video.codec.clone(),
                width: video.width,
                height: video.height,
                frame_rate_milli: video.frame_rate_milli,
                pixel_format: video.pixel_format.clone(),
            }),
            audio: media.audio.as_ref().map(|audio| AudioFacts {
                codec: audio.codec.clone(),
                channels: audio.channels,
                sample_rate_hz: audio.sample_rate_hz,
            }),
        }
    }
}

/// How bad a finding is.
#[derive(Enum, Output, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "model::Severity")]
pub enum PreflightSeverity {
    /// The platform will refuse the file.
    Blocking,
    /// The platform takes it, and advises otherwise.
    Advice,
}

/// What there is to say of a file and a platform.
#[derive(Enum, Output, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "model::FindingCode")]
pub enum PreflightCode {
    /// It was not looked at: it is not all here, or this installation has no FFmpeg.
    NotProbed,
    /// It is neither picture nor sound, or broken.
    NotMedia,
    /// There is no picture in it.
    NoVideo,
    /// Its container is none the platform takes.
    ContainerRefused,
    /// It is too large; in bytes.
    TooLarge,
    /// It plays too long; in milliseconds.
    TooLong,
    /// It is wider than high; in pixels.
    NotPortrait,
    /// Its sides are not as advised; in pixels.
    AspectUnusual,
    /// It has few pixels: of its shorter side.
    ResolutionLow,
    /// Its picture is coded as few players can show it.
    VideoCodecUnusual,
    /// The points of its picture are kept as few players can show them.
    PixelFormatUnusual,
    /// It has more pictures than are shown; in 1,000 seconds.
    FrameRateHigh,
    /// Its sound is coded as few players can play it.
    AudioCodecUnusual,
}

/// One thing to say of a file and a platform.
#[derive(SimpleObject, Output, Clone)]
pub struct PreflightFinding {
    /// What.
    code: PreflightCode,
    /// How bad.
    severity: PreflightSeverity,
    /// What was found.
    found: Option<String>,
    /// What the platform asks for.
    wanted: Option<String>,
}

impl From<model::Finding> for PreflightFinding {
    fn from(finding: model::Finding) -> Self {
        Self {
            code: finding.code.into(),
            severity: finding.severity.into(),
            found: finding.found,
            wanted: finding.wanted,
        }
    }
}

/// Why nothing came of making a file of another.
#[derive(Enum, Output, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "model::TranscodeFailure")]
pub enum TranscodeFailure {
    /// The source can't be decoded from one end to the other.
    Unreadable,
    /// It would have become longer than it may, in bytes.
    TooLarge,
    /// It took more time than it may.
    TooSlow,
    /// The source was thrown away meanwhile, or the platform's rules are others now.
    SourceGone,
    /// It was begun several times and never came to an end; asking again begins anew.
    BrokeOff,
}

/// How a file came to be that was made of another, or is being made.
#[derive(SimpleObject, Output, Clone)]
pub struct Transcode {
    /// The upload it is made of.
    source_id: ID,
    /// The platform it is for.
    platform: String,
    /// What `preflight` said of the source, and will not say of this.
    #[graphql(directive = transport::list_size::apply(10))]
    mends: Vec<PreflightCode>,
    /// How much of it is done, of 1,000.
    done_permille: u32,
    /// Why it came to nothing; null otherwise.
    failure: Option<TranscodeFailure>,
}

impl From<model::Transcode> for Transcode {
    fn from(transcode: model::Transcode) -> Self {
        Self {
            source_id: global_id(Kind::Upload, transcode.source.uuid()),
            platform: transcode.platform,
            mends: transcode.mends.into_iter().map(Into::into).collect(),
            done_permille: transcode.done_permille,
            failure: transcode.failure.map(Into::into),
        }
    }
}

/// How much the tenant has announced and keeps.
#[derive(SimpleObject, Output, Clone)]
pub struct ContentRoom {
    /// How many bytes are announced and kept: of files on their way in, in the making, and arrived.
    used_bytes: String,
    /// How many may be.
    max_bytes: String,
}

impl From<domain::content::ContentRoom> for ContentRoom {
    fn from(room: domain::content::ContentRoom) -> Self {
        Self { used_bytes: room.used_bytes.to_string(), max_bytes: room.max_bytes.to_string() }
    }
}

/// A file on its way in, or arrived.
#[derive(SimpleObject, Output, Clone)]
#[graphql(complex)]
#[output(fields)]
pub struct Upload {
    #[graphql(skip)]
    model: Box<model::Upload>,
    /// Opaque.
    pub(in crate::graphql) id: ID,
    /// What it is called.
    name: String,
    /// Its media type; null when it was not told.
    media_type: Option<String>,
    /// Its length in bytes.
    size_bytes: String,
    /// How many of them are here: the next one wanted has this number.
    received_bytes: String,
    /// Where it stands.
    state: UploadState,
    /// Its SHA-256 in hexadecimal digits, once it was read back.
    sha256: Option<String>,
    /// What it is; null while it was not looked at, and when it is neither picture nor sound.
    media: Option<MediaFacts>,
    /// Where its bytes are sent to, by the tus protocol, version 1.0, with the same bearer token as here.
    url: String,
    /// The member who began it; null when a machine did.
    begun_by_id: Option<ID>,
    /// When it was begun.
    created_at: DateTime<Utc>,
    /// When it is thrown away unless all of it is here.
    expires_at: DateTime<Utc>,
}

impl Upload {
    pub(in crate::graphql) fn new(upload: model::Upload, app: &App) -> Self {
        let media = match &upload.probed {
            Some(model::Probed::Media(media)) => Some(media.into()),
            Some(model::Probed::NotMedia) | None => None,
        };
        Self {
            id: global_id(Kind::Upload, upload.id.uuid()),
            name: upload.draft.name.clone(),
            media_type: Some(upload.draft.media_type.clone()).filter(|media_type| !media_type.is_empty()),
            size_bytes: upload.draft.size_bytes.to_string(),
            received_bytes: upload.received_bytes.to_string(),
            state: upload.state.into(),
            sha256: upload.digest.map(|digest| hex(&digest)),
            url: app.upload_url(upload.id),
            begun_by_id: upload.begun_by.map(|member| global_id(Kind::Member, member.uuid())),
            created_at: upload.created_at,
            expires_at: upload.expires_at,
            media,
            model: Box::new(upload),
        }
    }
}

#[output::fields]
impl Upload {
    /// What a platform will make of it, the worst first; empty when there is nothing to say.
    #[graphql(directive = transport::list_size::apply(10))]
    #[expect(
        clippy::unused_async,
        reason = "fields of many parents are asked for at once, and so asynchronously"
    )]
    async fn preflight(
        uploads: &[&Self],
        ctx: &Context<'_>,
        #[graphql(desc = "The platform, as `douyin`.")] platform: String,
    ) -> Result<Vec<Option<Result<Vec<PreflightFinding>, ApiError>>>, ApiError> {
        let content = &app(ctx).content;
        let of = |upload: &&Self| {
            let found = content.preflight(&upload.model, &platform);
            let unknown =
                || ApiError::bad_input(format!("platform {platform:?} is none this installation knows"));
            Some(found.map(|all| all.into_iter().map(Into::into).collect()).ok_or_else(unknown))
        };
        Ok(uploads.iter().map(of).collect())
    }

    /// How it came to be, when it was made of another upload; null otherwise.
    async fn transcode(
        uploads: &[&Self],
        ctx: &Context<'_>,
    ) -> Result<Vec<Option<Result<Option<Transcode>, ApiError>>>, ApiError> {
        let (actor, mut work) = reading(ctx, "transcode").await?;
        let made = |upload: &&&Self| upload.model.piece == model::Piece::Transcoded;
        let ids: Vec<_> = uploads.iter().filter(made).map(|upload| upload.model.id).collect();
        let found = app(ctx).content.transcodes(&mut *work, &actor, &ids).await?;
        let of = |upload: &&Self| Some(Ok(found.get(&upload.model.id).cloned().map(Into::into)));
        Ok(uploads.iter().map(of).collect())
    }
}

connection!(UploadConnection, UploadEdge, Upload, "uploads");
connection_fields!(UploadConnection, Upload);
