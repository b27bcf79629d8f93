//! Files of the range that lie ready, and their leaves once more by type.

use domain::{
    compliance::{
        bundle::{
            BundleError,
            names::{SEGMENT_LEAVES_MAX, segment},
            writer::{CutSegment, TypeRun, cut_segment, read_run},
        },
        ports::Segment,
    },
    content::ports::ObjectStore,
    kernel::fault::{PortError, Retry},
};

use super::PORT;

/// The name of the file of the range, and that of its leaves by type.
pub(super) fn keys(folder: &str, first: u64) -> [String; 2] {
    let file = segment(first);
    let name = file.rsplit('/').next().unwrap_or_default();
    [format!("{folder}/{name}"), format!("{folder}/{name}.types")]
}

/// Makes both, and keeps them.
pub(super) async fn cut(
    objects: &dyn ObjectStore,
    folder: &str,
    first: u64,
    leaves: Vec<Vec<u8>>,
) -> Result<Option<Segment>, PortError> {
    let made = tokio::task::spawn_blocking(move || cut_segment(first, &leaves)).await;
    let CutSegment { gzip, subtrees, facts, by_type, runs } =
        match made.map_err(|e| PortError::lasting(PORT, e))? {
            Ok(cut) => cut,
            Err(BundleError::Leaf { .. } | BundleError::Merkle(_)) => return Ok(None),
            Err(error) => return Err(PortError::passing(PORT, error)),
        };
    let [root] = subtrees[..] else { return Ok(None) };
    let [file, types] = keys(folder, first);
    objects.put(&types, by_type).await?;
    objects.put(&file, gzip).await?;
    Ok(Some(Segment { first, root, facts, runs }))
}

/// The leaves that may be asked for, in order, when the file of the range is there and as long as it was; `None` when something
/// is not what it was.
pub(super) async fn leaves(
    objects: &dyn ObjectStore,
    folder: &str,
    segment: &Segment,
    is_wanted: impl Fn(&str) -> bool,
) -> Result<Option<Vec<(u64, Vec<u8>)>>, PortError> {
    let [file, types] = keys(folder, segment.first);
    // That it is there at all, with its last byte, without reading it.
    let last = segment.facts.length.saturating_sub(1);
    let Some(_) = found(objects.get(&file, last..segment.facts.length).await)? else { return Ok(None) };
    let wanted: Vec<&TypeRun> = segment.runs.iter().filter(|run| is_wanted(&run.type_name)).collect();
    let mut read = Vec::with_capacity(wanted.len());
    for run in wanted {
        let bytes = objects.get(&types, run.offset..run.offset.saturating_add(run.bytes)).await;
        let Some(bytes) = found(bytes)? else { return Ok(None) };
        read.push(bytes);
    }
    let end = segment.first.saturating_add(SEGMENT_LEAVES_MAX);
    let first = segment.first;
    let leaves = tokio::task::spawn_blocking(move || {
        let mut leaves = Vec::new();
        for run in read {
            leaves.extend(read_run(&run)?);
        }
        leaves.sort_unstable_by_key(|(index, _)| *index);
        Ok::<_, std::io::Error>(leaves)
    });
    let leaves = leaves.await.map_err(|e| PortError::lasting(PORT, e))?;
    Ok(leaves.ok().filter(|leaves| leaves.iter().all(|(index, _)| (first..end).contains(index))))
}

/// What a store gave; `None` for what is gone or shorter than it was.
fn found(got: Result<Vec<u8>, PortError>) -> Result<Option<Vec<u8>>, PortError> {
    match got {
        Ok(bytes) => Ok(Some(bytes)),
        Err(fault) if fault.retry == Retry::Useless => Ok(None),
        Err(fault) => Err(fault),
    }
}
