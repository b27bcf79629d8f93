//! `SHA256SUMS`, and that every file is the one it lists.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use audit_log::{
    merkle::Hash,
    sha256::{Together, WIDTH},
};
use report_bundle::{names, sums};

use crate::{
    Refusal, Step,
    container::{Container, fill, read_small},
};

/// So many bytes of each file are hashed at a time.
const PIECE_BYTES: usize = 64 << 10;

/// Reads the sums and compares which files there are.
///
/// # Errors
/// `sums`.
pub(crate) fn read_sums(bundle: &dyn Container) -> Result<BTreeMap<String, Hash>, Refusal> {
    let step = Step::Sums;
    let text = read_small(bundle, step, names::SUMS, sums::SUMS_MAX_BYTES)?;
    let sums = sums::parse(&text).map_err(step.by())?;
    if let Some(name) = sums.keys().find(|name| !bundle.files().contains_key(*name)) {
        return Err(step.because(format!("{name} is listed and not there")));
    }
    let unlisted = bundle.files().keys().find(|name| !names::is_sealing(name) && !sums.contains_key(*name));
    match unlisted {
        Some(name) => Err(step.because(format!("{name} is there and not listed"))),
        None => Ok(sums),
    }
}

/// A file that is listed, and its place in the list.
type Listed<'s> = (usize, &'s str, &'s Hash);

/// Hashes every file.
///
/// # Errors
/// `hashes`, of the first file in order that is another.
pub(crate) fn check_hashes(
    bundle: &dyn Container,
    sums: &BTreeMap<String, Hash>,
    threads: usize,
) -> Result<(), Refusal> {
    let mut files: Vec<Listed<'_>> =
        sums.iter().enumerate().map(|(position, (name, hash))| (position, name.as_str(), hash)).collect();
    // Files that are hashed together are of about one length, and there is as much to do for each thread.
    files.sort_by_key(|(_, name, _)| std::cmp::Reverse(bundle.files().get(*name).copied()));
    let rounds = files.len().div_ceil(WIDTH * threads.max(1)).max(1);
    let groups: Vec<_> = files.chunks(files.len().div_ceil(rounds * threads.max(1)).max(1)).collect();
    let next = AtomicUsize::new(0);
    let first: Mutex<Option<(usize, String)>> = Mutex::new(None);
    let work = || {
        while let Some(group) = take(&groups, &next) {
            for ((position, name, expected), hash) in group.iter().zip(hash(bundle, group)) {
                let why = match hash {
                    Ok(hash) if hash == **expected => continue,
                    Ok(_) => format!("{name} is another file"),
                    Err(fault) => format!("{name}: {fault}"),
                };
                let Ok(mut first) = first.lock() else { return };
                if first.as_ref().is_none_or(|(earlier, _)| position < earlier) {
                    *first = Some((*position, why));
                }
            }
        }
    };
    in_threads(threads, &work);
    match first.into_inner() {
        Ok(None) => Ok(()),
        Ok(Some((_, why))) => Err(Step::Hashes.because(why)),
        Err(_) => Err(Step::Hashes.because("hashing failed")),
    }
}

/// The next that nobody has taken.
fn take<'f, F>(all: &'f [F], next: &AtomicUsize) -> Option<&'f F> {
    all.get(next.fetch_add(1, Ordering::Relaxed))
}

/// Runs the same work in so many threads, in this one when there is to be one.
pub(crate) fn in_threads(threads: usize, work: &(dyn Fn() + Sync)) {
    if threads <= 1 {
        return work();
    }
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
}

/// Hashes up to [`WIDTH`] files side by side.
fn hash(bundle: &dyn Container, group: &[Listed<'_>]) -> Vec<std::io::Result<Hash>> {
    let mut together = Together::new(group.len());
    let mut open: Vec<_> = group.iter().map(|(_, name, _)| bundle.open(name)).collect();
    let mut buffers = vec![vec![0; PIECE_BYTES]; group.len()];
    loop {
        let mut pieces: [&[u8]; WIDTH] = [&[]; WIDTH];
        for ((piece, buffer), file) in pieces.iter_mut().zip(&mut buffers).zip(&mut open) {
            let read = file.as_mut().map_or(Ok(0), |file| fill(file, buffer));
            match read {
                Ok(read) => *piece = buffer.get(..read).unwrap_or_default(),
                Err(fault) => *file = Err(fault),
            }
        }
        if pieces.iter().all(|piece| piece.is_empty()) {
            break;
        }
        together.update(pieces);
    }
    open.into_iter().zip(together.finish()).map(|(file, hash)| file.map(|_| hash)).collect()
}
