//! `SHA256SUMS`, and that every file is the one it lists.

use std::{
    collections::BTreeMap,
    io::Read as _,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use audit_log::merkle::Hash;
use report_bundle::{names, sums};
use sha2::{Digest as _, Sha256};

use crate::{
    Refusal, Step,
    container::{Container, read_small},
};

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

/// Hashes every file.
///
/// # Errors
/// `hashes`, of the first file in order that is another.
pub(crate) fn check_hashes(
    bundle: &dyn Container,
    sums: &BTreeMap<String, Hash>,
    threads: usize,
) -> Result<(), Refusal> {
    let files: Vec<_> = sums.iter().collect();
    let next = AtomicUsize::new(0);
    let first: Mutex<Option<(usize, String)>> = Mutex::new(None);
    let work = || {
        while let Some((position, (name, expected))) = take(&files, &next) {
            let why = match hash(bundle, name) {
                Ok(hash) if hash == **expected => continue,
                Ok(_) => format!("{name} is another file"),
                Err(fault) => format!("{name}: {fault}"),
            };
            let Ok(mut first) = first.lock() else { return };
            if first.as_ref().is_none_or(|(earlier, _)| position < *earlier) {
                *first = Some((position, why));
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

/// The next that nobody has taken, and its position.
fn take<'f, F>(all: &'f [F], next: &AtomicUsize) -> Option<(usize, &'f F)> {
    let position = next.fetch_add(1, Ordering::Relaxed);
    all.get(position).map(|item| (position, item))
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

fn hash(bundle: &dyn Container, name: &str) -> std::io::Result<Hash> {
    let mut file = bundle.open(name)?;
    let (mut sha256, mut buffer) = (Sha256::new(), vec![0; 128 << 10]);
    loop {
        let read = file.read(&mut buffer)?;
        match buffer.get(..read) {
            Some(piece) if !piece.is_empty() => sha256.update(piece),
            Some(_) | None => return Ok(Hash(sha256.finalize().into())),
        }
    }
}
