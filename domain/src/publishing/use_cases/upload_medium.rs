//! The file is brought to the platform, whole or in parts. It goes on where it was left.

use std::{collections::BTreeSet, ops::Range};

use super::{
    super::{
        events::NoteKind,
        model::{PartMap, Post, PostState},
        ports::FileBytes,
    },
    Publishing,
    publish_due::{Halt, Hands, Shift},
};
use crate::{
    content::{ContentError, StoredFile},
    kernel::{fault::Retry, platform::PlatformError},
    publishing::PublishingError,
};

impl Publishing {
    /// Brings the file there: the post, ready to be asked for.
    pub(super) async fn upload_medium(
        &self,
        shift: &mut Shift,
        hands: &Hands,
        post: &Post,
    ) -> Result<Post, Halt> {
        let scope = shift.turn.scope;
        let file = self.0.content.stored_file(scope, &shift.origin, post.draft.upload).await;
        let Some(file) = file.map_err(PublishingError::from)? else {
            return self.file_gone(shift, post, "the file was thrown away").await;
        };
        let rules = hands.publisher.rules().parts;
        let sent = if file.upload.draft.size_bytes <= rules.whole_max_bytes {
            let whole = self.bytes(shift, post, &file, 0..file.upload.draft.size_bytes).await?;
            hands.publisher.upload(&scope, &hands.lease, whole).await
        } else {
            let parts = if let PostState::Uploading { parts: Some(parts) } = &post.state {
                parts.clone()
            } else {
                self.begin_parts(shift, hands, post, rules.part_bytes).await?
            };
            self.put_parts(shift, hands, post, &file, &parts).await?;
            hands.publisher.finish_parts(&scope, &hands.lease, &parts.ticket).await
        };
        let medium = self.or_hinder(shift, hands, post, sent).await?;
        self.change(shift, post.id, |post, _| {
            post.uploaded(medium)?;
            Ok(Some((NoteKind::Uploaded, None)))
        })
        .await
    }

    async fn begin_parts(
        &self,
        shift: &mut Shift,
        hands: &Hands,
        post: &Post,
        part_bytes: u64,
    ) -> Result<PartMap, Halt> {
        let begun_at = self.0.clock.now();
        let ticket = hands.publisher.begin_parts(&shift.turn.scope, &hands.lease).await;
        let ticket = self.or_hinder(shift, hands, post, ticket).await?;
        let parts = PartMap { ticket, begun_at, part_bytes, there: BTreeSet::new() };
        let begun = parts.clone();
        self.change(shift, post.id, |post, _| {
            post.parts_begun(begun)?;
            Ok(Some((NoteKind::PartsBegun, None)))
        })
        .await?;
        Ok(parts)
    }

    async fn put_parts(
        &self,
        shift: &mut Shift,
        hands: &Hands,
        post: &Post,
        file: &StoredFile,
        parts: &PartMap,
    ) -> Result<(), Halt> {
        let size = file.upload.draft.size_bytes;
        let (mut number, mut offset) = (1_u32, 0_u64);
        while offset < size {
            let end = size.min(offset + parts.part_bytes);
            if self.is_stopping() {
                return Err(Halt::Rest);
            }
            if !parts.there.contains(&number) {
                let part = self.bytes(shift, post, file, offset..end).await?;
                let scope = &shift.turn.scope;
                let put = hands.publisher.put_part(scope, &hands.lease, &parts.ticket, number, part).await;
                self.or_hinder(shift, hands, post, put).await?;
                self.change(shift, post.id, |post, _| {
                    post.part_done(&parts.ticket, number)?;
                    Ok(None)
                })
                .await?;
            }
            (number, offset) = (number + 1, end);
        }
        Ok(())
    }

    async fn file_gone<T>(&self, shift: &mut Shift, post: &Post, why: &str) -> Result<T, Halt> {
        self.change(shift, post.id, |post, _| {
            post.file_gone()?;
            Ok(Some((NoteKind::Failed, Some(why.to_owned()))))
        })
        .await?;
        Err(Halt::Rest)
    }

    /// Some of the file, under a name that says nothing of whose it was.
    async fn bytes(
        &self,
        shift: &mut Shift,
        post: &Post,
        file: &StoredFile,
        range: Range<u64>,
    ) -> Result<FileBytes, Halt> {
        let media_type = file.upload.draft.media_type.clone();
        let name = if media_type == "video/webm" { "video.webm" } else { "video.mp4" };
        match self.0.content.read_file(file, range).await {
            Ok(bytes) => Ok(FileBytes { name: name.to_owned(), media_type, bytes }),
            // What is not there will not be there later: a store that can't be asked says nothing of the kind.
            Err(ContentError::Port(fault)) if fault.retry == Retry::Useless => {
                self.file_gone(shift, post, "the file can't be read any more").await
            }
            Err(error) => Err(PublishingError::from(error).into()),
        }
    }

    /// What was answered, or the post rests.
    pub(super) async fn or_hinder<T: Send>(
        &self,
        shift: &mut Shift,
        hands: &Hands,
        post: &Post,
        answer: Result<T, PlatformError>,
    ) -> Result<T, Halt> {
        match answer {
            Ok(answer) => Ok(answer),
            Err(error) => {
                self.hinder(shift, Some(&hands.lease), &[post.id], &error).await?;
                Err(Halt::Rest)
            }
        }
    }
}
