//! Entry bundles: the leaves under one level-0 tile, each after its length in two bytes, big-endian.

use super::{TileError, TileId, id::index_path};

/// The longest entry a bundle can hold, in bytes.
pub const ENTRY_MAX_BYTES: usize = 65_535;

/// The path of the bundle under a level-0 tile, as `tile/entries/000.p/17`. `None` for higher levels, which
/// have no entries.
pub fn bundle_path(tile: TileId) -> Option<String> {
    (tile.level() == 0).then(|| format!("tile/entries/{}", index_path(tile.index(), tile.width())))
}

/// A bundle of `entries`.
///
/// # Errors
/// `EntryTooLong`.
pub fn bundle_bytes<E: AsRef<[u8]>>(entries: &[E]) -> Result<Vec<u8>, TileError> {
    let mut bytes = Vec::with_capacity(entries.iter().map(|entry| 2 + entry.as_ref().len()).sum());
    for (position, entry) in entries.iter().enumerate() {
        let entry = entry.as_ref();
        let length = u16::try_from(entry.len())
            .map_err(|_| TileError::EntryTooLong { position, bytes: entry.len() })?;
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(entry);
    }
    Ok(bytes)
}

/// The entries of a bundle that must hold exactly `count`.
///
/// # Errors
/// `BundleCount` when it holds fewer, more, or part of one.
pub fn parse_bundle(bytes: &[u8], count: u16) -> Result<Vec<&[u8]>, TileError> {
    let mut rest = bytes;
    let mut entries = Vec::with_capacity(usize::from(count).min(bytes.len() / 2));
    while entries.len() < usize::from(count) {
        let fault = TileError::BundleCount { position: entries.len(), want: count };
        let (length, after) = rest.split_first_chunk().ok_or(fault)?;
        let (entry, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or(fault)?;
        entries.push(entry);
        rest = after;
    }
    if rest.is_empty() {
        Ok(entries)
    } else {
        Err(TileError::BundleCount { position: entries.len(), want: count })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bundles_come_back_whole_or_not_at_all() {
        let longest = vec![7; ENTRY_MAX_BYTES];
        let entries: [&[u8]; 3] = [b"one", b"", &longest];
        let bytes = bundle_bytes(&entries).expect("short enough");
        assert_eq!(parse_bundle(&bytes, 3).as_deref(), Ok(&entries[..]));
        for count in [0, 2, 4] {
            assert!(parse_bundle(&bytes, count).is_err(), "{count}");
        }
        for cut in [bytes.len() - 1, 6, 4, 1, 0] {
            assert!(parse_bundle(&bytes[..cut], 3).is_err(), "{cut}");
        }
        assert_eq!(
            bundle_bytes(&[vec![0; ENTRY_MAX_BYTES + 1]]),
            Err(TileError::EntryTooLong { position: 0, bytes: ENTRY_MAX_BYTES + 1 })
        );
    }
}
