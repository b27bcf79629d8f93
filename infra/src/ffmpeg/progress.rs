//! What `ffmpeg -progress` says (ffmpeg's documentation, "Main options", read 2026-11-27): lines of `key=value`, a block
//! every so often, each of which ends in `progress=`.

/// How much of the output plays, in milliseconds, if the line says so. `out_time_us` is in microseconds, and so is
/// `out_time_ms`, whatever its name; before the first picture it is `N/A`, and less than nothing with some sources.
pub(super) fn read(line: &str) -> Option<u64> {
    let (key, value) = line.trim().split_once('=')?;
    if key != "out_time_us" {
        return None;
    }
    let micros: i64 = value.trim().parse().ok()?;
    u64::try_from(micros).ok().map(|micros| micros / 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_says_how_far_it_is_once() {
        let block = "frame=50\nfps=25.1\nstream_0_0_q=23.0\nbitrate= 512.0kbits/s\ntotal_size=1024\n\
                     out_time_us=2040000\nout_time_ms=2040000\nout_time=00:00:02.040000\nspeed=1.2x\nprogress=continue";
        assert_eq!(block.lines().filter_map(read).collect::<Vec<_>>(), [2_040]);
    }

    #[test]
    fn what_is_no_time_is_none() {
        for line in
            ["out_time_us=N/A", "out_time_us=", "out_time_us=-23220", "out_time_us", "", "progress=end"]
        {
            assert_eq!(read(line), None, "{line}");
        }
        assert_eq!(read("out_time_us= 999\r"), Some(0));
        assert_eq!(read("out_time_us=9223372036854775807"), Some(9_223_372_036_854_775));
        assert_eq!(read("out_time_us=9223372036854775808"), None);
    }
}
