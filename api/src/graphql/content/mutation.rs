//! What can be done with content.

use async_graphql::{Context, Object};
use domain::{
    content::{BeginUpload, actions, model::UploadDraft},
    kernel::ids::UploadId,
};

use super::{
    Upload,
    inputs::{BeginUploadInput, CancelUploadInput, TranscodeUploadInput},
    query::one_upload,
};
use crate::{
    graphql::{
        command::command,
        error::{ApiError, Failure},
        payload::{Named, payload},
        scalars::{Kind, global_id, id_of},
    },
    hex::unhex,
};

payload!(BeginUploadPayload, Named, "beginUpload" {
    /// The upload; its `url` is where the bytes go.
    upload: Option<Result<Upload, ApiError>> =
        |done, ctx| one_upload(ctx, &global_id(Kind::Upload, done.id)).await.transpose();
});
payload!(CancelUploadPayload, Named, "cancelUpload" {
    /// The upload.
    upload: Option<Result<Upload, ApiError>> =
        |done, ctx| one_upload(ctx, &global_id(Kind::Upload, done.id)).await.transpose();
});

payload!(TranscodeUploadPayload, Named, "transcodeUpload" {
    /// The upload that is made; the one it is made of stays as it is.
    upload: Option<Result<Upload, ApiError>> =
        |done, ctx| one_upload(ctx, &global_id(Kind::Upload, done.id)).await.transpose();
});

fn draft_of(input: BeginUploadInput) -> Result<UploadDraft, Failure> {
    let digits = |problem| Failure::invalid("sizeBytes", problem);
    if input.size_bytes.is_empty() || !input.size_bytes.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(digits("must be decimal digits"));
    }
    let size_bytes = input.size_bytes.parse().map_err(|_| digits("is far too large"))?;
    let sha256 = match input.sha256 {
        None => None,
        Some(text) => {
            Some(unhex(&text).ok_or_else(|| Failure::invalid("sha256", "must be 64 hexadecimal digits"))?)
        }
    };
    let media_type = input.media_type.unwrap_or_default();
    Ok(UploadDraft { name: input.name, media_type, size_bytes, sha256, ..UploadDraft::default() })
}

#[derive(Default)]
pub struct ContentMutation;

#[Object]
impl ContentMutation {
    /// Make room for a file. Its bytes are then sent to the upload's `url`, by the tus protocol.
    async fn begin_upload(
        &self,
        ctx: &Context<'_>,
        input: BeginUploadInput,
    ) -> Option<Result<BeginUploadPayload, ApiError>> {
        let done = command(ctx, actions::BEGIN_UPLOAD, |app, actor, work| {
            Box::pin(async move {
                let begin = BeginUpload::Whole(draft_of(input)?);
                let upload = app.content.begin_upload(work, actor, begin).await?;
                Ok(Named { id: upload.id.uuid() })
            })
        });
        Some(done.await.map(BeginUploadPayload))
    }

    /// Give up a file, wholly here or half way here; its bytes are thrown away.
    async fn cancel_upload(
        &self,
        ctx: &Context<'_>,
        input: CancelUploadInput,
    ) -> Option<Result<CancelUploadPayload, ApiError>> {
        let done = command(ctx, actions::CANCEL_UPLOAD, |app, actor, work| {
            Box::pin(async move {
                let id = id_of(Kind::Upload, &input.id)?;
                app.content.cancel_upload(work, actor, UploadId::from_uuid(id)).await?;
                Ok(Named { id })
            })
        });
        Some(done.await.map(CancelUploadPayload))
    }

    /// Make a file that a platform has nothing against of one that is here. Asked again, it gives the same upload.
    async fn transcode_upload(
        &self,
        ctx: &Context<'_>,
        input: TranscodeUploadInput,
    ) -> Option<Result<TranscodeUploadPayload, ApiError>> {
        let done = command(ctx, actions::TRANSCODE_UPLOAD, |app, actor, work| {
            Box::pin(async move {
                let id = UploadId::from_uuid(id_of(Kind::Upload, &input.id)?);
                let upload = app.content.transcode_upload(work, actor, id, &input.platform).await?;
                Ok(Named { id: upload.id.uuid() })
            })
        });
        Some(done.await.map(TranscodeUploadPayload))
    }
}
