//! What the fuzzer holds, over its seeds and what is near them. `cargo +nightly fuzz run bundle`, in `domain/verify`,
//! goes on from there.

#[path = "../../fuzz/checks.rs"]
mod checks;

use proptest::prelude::*;

/// Each way with each seed: the right seed gets far, the others must do no harm.
#[test]
fn seeds_hold_in_every_way() {
    let seeds: [&[u8]; 6] = [
        include_bytes!("../../fuzz/seeds/bundle.zip"),
        include_bytes!("../../fuzz/seeds/log-policy"),
        include_bytes!("../../fuzz/seeds/root.pem"),
        b"{\"field\":\"diff_commit\",\"index\":1,\"salt\":\"00\",\"value\":1}",
        b"0000000000000000000000000000000000000000000000000000000000000000  report.csv\n",
        b"",
    ];
    for way in 0..checks::WAYS {
        for seed in seeds {
            checks::check(&[&[way], seed].concat());
        }
    }
}

#[test]
fn every_file_of_the_seed_holds_in_its_own_way() {
    let bundle = super::kit::Memory::unzip(include_bytes!("../../fuzz/seeds/bundle.zip"));
    let mut verified = 0;
    for (position, bytes) in bundle.files.values().enumerate() {
        let position = u8::try_from(position).expect("few files");
        // A file in its own place is the good bundle, which `check` wants verified.
        checks::check(&[&[checks::WAYS - 1, position], bytes.as_slice()].concat());
        verified += 1;
        (0..checks::WAYS).for_each(|way| checks::check(&[&[way], bytes.as_slice()].concat()));
    }
    assert!(verified > 15);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn bytes_near_the_seed_hold(
        at in any::<prop::sample::Index>(), with in any::<[u8; 4]>(), cut in any::<prop::sample::Index>(), way in 0..2_u8,
    ) {
        let mut bytes = include_bytes!("../../fuzz/seeds/bundle.zip").to_vec();
        let place = at.index(bytes.len() - 4);
        bytes[place..place + 4].copy_from_slice(&with);
        if way == 1 {
            bytes.truncate(cut.index(bytes.len()));
        }
        checks::check(&[&[0], bytes.as_slice()].concat());
    }
}
