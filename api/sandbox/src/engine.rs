//! The platform and its journal, one step at a time.

use std::{
    io::{Error, Result},
    path::Path,
    sync::{Mutex, MutexGuard},
};

use tokio::sync::Notify;

use crate::{
    control,
    journal::{Entry, Journal, Step},
    platform::{
        Platform,
        hooks::{Outcome, Parcel},
    },
    wall,
    wire::{
        self,
        call::{Call, Reply},
    },
};

/// What the server's threads share.
#[derive(Debug)]
pub(crate) struct Engine {
    kept: Mutex<Kept>,
    /// Told after every step.
    pub(crate) changed: Notify,
}

#[derive(Debug)]
struct Kept {
    platform: Platform,
    journal: Option<Journal>,
    closed: bool,
}

impl Kept {
    /// Writes the step down, then makes it.
    fn make(&mut self, entry: &Entry) -> Result<Option<Reply>> {
        if self.closed {
            return Err(Error::other("the sandbox was stopped"));
        }
        if let Some(journal) = &mut self.journal {
            journal.append(entry)?;
        }
        Ok(replay(&mut self.platform, entry))
    }
}

fn replay(platform: &mut Platform, entry: &Entry) -> Option<Reply> {
    match &entry.step {
        Step::Call(call) if control::is_write(call) => Some(control::serve(platform, call, entry.wall_ms)),
        Step::Call(call) => Some(wire::serve(platform, call, entry.wall_ms)),
        Step::Delivered { number, outcome } => {
            platform.begin_told(entry.wall_ms);
            platform.delivered(*number, outcome.clone());
            None
        }
    }
}

impl Engine {
    /// An engine over what the directory holds, or in memory.
    pub(crate) fn open(dir: Option<&Path>, seed: Option<u64>) -> Result<Self> {
        let (journal, seed, entries) = match dir {
            Some(dir) => {
                let (journal, seed, entries) = Journal::open(dir, seed)?;
                (Some(journal), seed, entries)
            }
            None => (None, seed.unwrap_or(1), Vec::new()),
        };
        let mut platform = Platform::new(seed);
        for entry in &entries {
            replay(&mut platform, entry);
        }
        Ok(Self { kept: Mutex::new(Kept { platform, journal, closed: false }), changed: Notify::new() })
    }

    fn kept(&self) -> Result<MutexGuard<'_, Kept>> {
        self.kept.lock().map_err(|_| Error::other("a step failed halfway"))
    }

    /// Lets go of the directory; no step is made after this.
    pub(crate) fn close(&self) {
        if let Ok(mut kept) = self.kept() {
            (kept.closed, kept.journal) = (true, None);
        }
    }

    /// Whether no step is made any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.kept().map_or(true, |kept| kept.closed)
    }

    /// One call, and its answer.
    pub(crate) fn call(&self, call: Call) -> Result<Reply> {
        let reads = call.path.starts_with(control::ROOT) && !control::is_write(&call);
        if reads {
            return self.look(|platform| control::read(platform, &call));
        }
        let entry = Entry { wall_ms: wall::now_ms(), step: Step::Call(Box::new(call)) };
        let reply = self.kept()?.make(&entry)?;
        self.changed.notify_waiters();
        reply.ok_or_else(|| Error::other("a call without an answer"))
    }

    /// What came of a parcel.
    pub(crate) fn delivered(&self, number: i64, outcome: Outcome) -> Result<()> {
        let entry = Entry { wall_ms: wall::now_ms(), step: Step::Delivered { number, outcome } };
        self.kept()?.make(&entry)?;
        self.changed.notify_waiters();
        Ok(())
    }

    /// Looks at the platform as it is now.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Platform) -> T) -> Result<T> {
        let mut kept = self.kept()?;
        kept.platform.step.now_ms = kept.platform.clock.at(wall::now_ms());
        Ok(look(&kept.platform))
    }

    /// What is due to be sent, and in how many milliseconds more will be; never, while the clock stands still.
    pub(crate) fn due(&self) -> Result<(Vec<Parcel>, Option<i64>)> {
        self.look(|platform| {
            let now_ms = platform.now_ms();
            let next = platform.next_due_ms().filter(|_| !platform.clock.is_frozen());
            (platform.parcels_due(now_ms), next.map(|due_ms| (due_ms - now_ms).max(0)))
        })
    }
}
