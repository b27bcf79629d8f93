//! The file is brought to the platform, whole or in parts. It goes on where it was left.

use std::{
    collections::{BTreeSet, VecDeque},
    future::poll_fn,
    ops::Range,
    pin::Pin,
    sync::atomic::{AtomicU32, Ordering},
    task::{Context, Poll},
};

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
    kernel::{fault::Retry, platform::PlatformError, scope::TenantScope},
    publishing::PublishingError,
};

/// Parts of one file that are under way beside the first, at most.
const BESIDE_MAX: u32 = 2;

/// The same of all files together: each is in memory whole while it is under way.
const BESIDE_ALL_MAX: u32 = 8;

/// Places for parts beside the first. They are free again when dropped.
struct Beside<'a> {
    all: &'a AtomicU32,
    taken: u32,
}

impl<'a> Beside<'a> {
    /// As many as there are, down to none.
    fn take(all: &'a AtomicU32) -> Self {
        let left = |taken: u32| BESIDE_ALL_MAX.saturating_sub(taken).min(BESIDE_MAX);
        let before =
            all.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| Some(taken + left(taken)));
        Self { all, taken: left(before.unwrap_or(BESIDE_ALL_MAX)) }
    }

    fn count(&self) -> usize {
        usize::try_from(self.taken).unwrap_or_default()
    }
}

impl Drop for Beside<'_> {
    fn drop(&mut self) {
        self.all.fetch_sub(self.taken, Ordering::Relaxed);
    }
}

/// Why a part is not there.
enum PartFault {
    NotRead(ContentError),
    NotSent(PlatformError),
}

/// Steps of `length` through `size` bytes; the last may be shorter.
fn step(size: u64, length: u64) -> impl Iterator<Item = Range<u64>> {
    let length = length.max(1);
    (0..size.div_ceil(length)).map(move |at| at * length..size.min((at + 1) * length))
}

/// Futures that go on side by side, whatever else is waited for.
struct SideBySide<F: Future> {
    running: Vec<F>,
    ended: VecDeque<F::Output>,
}

impl<F: Future + Unpin> SideBySide<F> {
    const fn new() -> Self {
        Self { running: Vec::new(), ended: VecDeque::new() }
    }

    fn poll(&mut self, context: &mut Context<'_>) {
        let Self { running, ended } = self;
        running.retain_mut(|future| match Pin::new(future).poll(context) {
            Poll::Ready(output) => {
                ended.push_back(output);
                false
            }
            Poll::Pending => true,
        });
    }

    /// What the next of them gives that ends; `None` when there are none.
    async fn next(&mut self) -> Option<F::Output> {
        poll_fn(|context| {
            if self.ended.is_empty() {
                self.poll(context);
            }
            match self.ended.pop_front() {
                None if !self.running.is_empty() => Poll::Pending,
                ended => Poll::Ready(ended),
            }
        })
        .await
    }

    /// Waits for something else, and lets them go on meanwhile.
    async fn beside<T>(&mut self, other: impl Future<Output = T>) -> T {
        let mut other = std::pin::pin!(other);
        poll_fn(|context| {
            self.poll(context);
            other.as_mut().poll(context)
        })
        .await
    }
}

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
            let whole = match self.read(&file, 0..file.upload.draft.size_bytes).await {
                Ok(whole) => whole,
                Err(error) => return Err(self.unread(shift, post, error).await?),
            };
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

    /// Sends the parts that are not there yet, some side by side. Of those that are under way when one fails, what arrives is
    /// written down first.
    async fn put_parts(
        &self,
        shift: &mut Shift,
        hands: &Hands,
        post: &Post,
        file: &StoredFile,
        parts: &PartMap,
    ) -> Result<(), Halt> {
        let (scope, size) = (shift.turn.scope, file.upload.draft.size_bytes);
        let beside = Beside::take(&self.2);
        let mut missing = (1_u32..)
            .zip(step(size, parts.part_bytes))
            .filter(|(number, _)| !parts.there.contains(number))
            .peekable();
        let mut under_way = SideBySide::new();
        let mut fault = None;
        loop {
            while fault.is_none() && !self.is_stopping() && under_way.running.len() <= beside.count() {
                let Some((number, range)) = missing.next() else { break };
                under_way.running.push(Box::pin(async move {
                    (number, self.put_part(scope, hands, file, &parts.ticket, (number, range)).await)
                }));
            }
            match under_way.next().await {
                None => break,
                Some((number, Ok(()))) => {
                    let written = self.change(shift, post.id, |post, _| {
                        post.part_done(&parts.ticket, number)?;
                        Ok(None)
                    });
                    under_way.beside(written).await?;
                }
                Some((_, Err(error))) => fault = fault.or(Some(error)),
            }
        }
        match fault {
            Some(PartFault::NotRead(error)) => Err(self.unread(shift, post, error).await?),
            Some(PartFault::NotSent(error)) => self.or_hinder(shift, hands, post, Err(error)).await,
            // The process is about to end.
            None if missing.peek().is_some() => Err(Halt::Rest),
            None => Ok(()),
        }
    }

    async fn put_part(
        &self,
        scope: TenantScope,
        hands: &Hands,
        file: &StoredFile,
        ticket: &str,
        (number, range): (u32, Range<u64>),
    ) -> Result<(), PartFault> {
        let part = self.read(file, range).await.map_err(PartFault::NotRead)?;
        let put = hands.publisher.put_part(&scope, &hands.lease, ticket, number, part).await;
        put.map_err(PartFault::NotSent)
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
    async fn read(&self, file: &StoredFile, range: Range<u64>) -> Result<FileBytes, ContentError> {
        let media_type = file.upload.draft.media_type.clone();
        let name = if media_type == "video/webm" { "video.webm" } else { "video.mp4" };
        let bytes = self.0.content.read_file(file, range).await?;
        Ok(FileBytes { name: name.to_owned(), media_type, bytes })
    }

    async fn unread(&self, shift: &mut Shift, post: &Post, error: ContentError) -> Result<Halt, Halt> {
        // What is not there will not be there later: a store that can't be asked says nothing of the kind.
        if let ContentError::Port(fault) = &error
            && fault.retry == Retry::Useless
        {
            return self.file_gone(shift, post, "the file can't be read any more").await;
        }
        Ok(PublishingError::from(error).into())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_stepped_through_whole() {
        assert_eq!(step(10, 4).collect::<Vec<_>>(), [0..4, 4..8, 8..10]);
        assert_eq!(step(8, 4).collect::<Vec<_>>(), [0..4, 4..8]);
        assert_eq!(step(0, 4).count(), 0);
    }

    #[test]
    fn places_beside_the_first_are_shared_and_come_back() {
        let all = AtomicU32::new(0);
        let held: Vec<_> = (0..5).map(|_| Beside::take(&all)).collect();
        assert_eq!(held.iter().map(Beside::count).collect::<Vec<_>>(), [2, 2, 2, 2, 0]);
        drop(held);
        assert_eq!((all.load(Ordering::Relaxed), Beside::take(&all).count()), (0, 2));
    }
}
