//! Files of the range that lie ready, and their leaves once more by type. Both are named by what is in them, so that whoever makes
//! them otherwise, as a later version might, makes others.

use domain::{
    compliance::{
        bundle::{
            BundleError,
            names::{SEGMENT_LEAVES_MAX, segment},
            writer::{CutSegment, FileFacts, RunLeaves, TypeRun, cut_segment, read_run},
        },
        log::merkle::Hash,
        ports::Segment,
    },
    content::ports::ObjectStore,
    kernel::fault::PortError,
};

use super::PORT;

/// The name of the file of the range, and that of its leaves by type.
pub(super) fn keys(folder: &str, first: u64, facts: &FileFacts) -> [String; 2] {
    let file = segment(first);
    let name = file.rsplit('/').next().unwrap_or_default();
    let sha256 = Hash(facts.sha256).to_hex();
    [format!("{folder}/{sha256}-{name}"), format!("{folder}/{sha256}-{name}.types")]
}

/// Makes both, and keeps them if the root of their leaves is this one.
pub(super) async fn cut(
    objects: &dyn ObjectStore,
    folder: &str,
    (first, root): (u64, Hash),
    leaves: Vec<Vec<u8>>,
) -> Result<Option<Segment>, PortError> {
    let made = tokio::task::spawn_blocking(move || cut_segment(first, &leaves)).await;
    let CutSegment { gzip, subtrees, facts, by_type, runs } =
        match made.map_err(|e| PortError::lasting(PORT, e))? {
            Ok(cut) => cut,
            Err(BundleError::Leaf { .. } | BundleError::Merkle(_)) => return Ok(None),
            Err(error) => return Err(PortError::passing(PORT, error)),
        };
    if subtrees != [root] {
        return Ok(None);
    }
    let [file, types] = keys(folder, first, &facts);
    objects.put(&types, by_type).await?;
    objects.put(&file, gzip).await?;
    Ok(Some(Segment { first, root, facts, runs }))
}

/// Leaves of a file of the range, in order, where they were inflated to: there may be tens of thousands.
pub(super) struct SegmentLeaves {
    runs: Vec<RunLeaves>,
    /// Index of each, which run it is of and where it stands there.
    order: Vec<(u64, usize, usize)>,
}

impl SegmentLeaves {
    fn new(runs: Vec<RunLeaves>) -> Self {
        let places = runs.iter().enumerate().flat_map(|(run, leaves)| {
            leaves.indexes().enumerate().map(move |(place, index)| (index, run, place))
        });
        let mut order: Vec<_> = places.collect();
        order.sort_unstable();
        Self { runs, order }
    }

    /// Index and bytes of each.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let leaf =
            |(index, run, place): &(u64, usize, usize)| Some((*index, self.runs.get(*run)?.leaf(*place)?));
        self.order.iter().filter_map(leaf)
    }
}

/// The leaves that may be asked for, in order, when the file of the range is there and as long as it was; `None` when something
/// is not what it was, or can't be had now.
pub(super) async fn leaves(
    objects: &dyn ObjectStore,
    folder: &str,
    segment: &Segment,
    is_wanted: impl Fn(&str) -> bool,
) -> Result<Option<SegmentLeaves>, PortError> {
    let [file, types] = keys(folder, segment.first, &segment.facts);
    // That it is there at all, with its last byte, without reading it.
    let last = segment.facts.length.saturating_sub(1);
    if objects.get(&file, last..segment.facts.length).await.is_err() {
        return Ok(None);
    }
    let wanted: Vec<TypeRun> = segment.runs.iter().filter(|run| is_wanted(&run.type_name)).cloned().collect();
    let mut read = Vec::with_capacity(wanted.len());
    for run in wanted {
        let Ok(bytes) = objects.get(&types, run.offset..run.offset.saturating_add(run.bytes)).await else {
            return Ok(None);
        };
        read.push((run, bytes));
    }
    let end = segment.first.saturating_add(SEGMENT_LEAVES_MAX);
    let first = segment.first;
    let leaves = tokio::task::spawn_blocking(move || {
        let runs: std::io::Result<Vec<_>> =
            read.into_iter().map(|(run, bytes)| read_run(&run, &bytes)).collect();
        runs.map(SegmentLeaves::new)
    });
    let leaves = leaves.await.map_err(|e| PortError::lasting(PORT, e))?;
    Ok(leaves.ok().filter(|leaves| leaves.order.iter().all(|(index, ..)| (first..end).contains(index))))
}

/// Whether both are what they were, every byte.
pub(super) async fn is_sound(objects: &dyn ObjectStore, folder: &str, segment: &Segment) -> bool {
    let [file, types] = keys(folder, segment.first, &segment.facts);
    let Ok(gzip) = objects.get(&file, 0..segment.facts.length).await else { return false };
    let length = segment.runs.iter().map(|run| run.bytes).sum();
    let Ok(by_type) = objects.get(&types, 0..length).await else { return false };
    let (facts, runs) = (segment.facts, segment.runs.clone());
    let sound = tokio::task::spawn_blocking(move || {
        facts.is_of(&gzip)
            && runs.iter().all(|run| {
                let place = |at| usize::try_from(at).unwrap_or(usize::MAX);
                let bytes = by_type.get(place(run.offset)..place(run.offset.saturating_add(run.bytes)));
                bytes.is_some_and(|bytes| read_run(run, bytes).is_ok())
            })
    });
    sound.await.unwrap_or(false)
}
