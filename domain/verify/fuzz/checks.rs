//! What must hold of any bytes: nothing panics, and what is read is written again as it was. The first byte says what
//! the others are taken for. The tests run this over the seeds, the fuzzer over what it makes of them.

use std::{
    collections::BTreeMap,
    io::{Error, ErrorKind, Read},
    sync::OnceLock,
};

use audit_log::proof::LogProof;
use matricula_verify::{
    Anchors, Demands, Policy,
    container::{Container, Zip},
    verify,
};
use report_bundle::{
    cms::ContentInfo,
    heads,
    leaf::LeafReader,
    manifest::Manifest,
    opening::{Disclosure, Erasure, parse_line, write_line},
    sums,
    time::Time,
    tsp,
};

/// A bundle, its anchors, and a time at which they are good. The keys were thrown away.
const BUNDLE: &[u8] = include_bytes!("seeds/bundle.zip");
const ROOT: &[u8] = include_bytes!("seeds/root.pem");
const TSA_ROOT: &[u8] = include_bytes!("seeds/tsa-root.pem");
const POLICY: &str = include_str!("seeds/log-policy");
const AT: &str = include_str!("seeds/at");

/// How many ways there are to take bytes.
pub(crate) const WAYS: u8 = 12;

struct Files {
    bytes: BTreeMap<String, Vec<u8>>,
    lengths: BTreeMap<String, u64>,
}

impl Container for Files {
    fn files(&self) -> &BTreeMap<String, u64> {
        &self.lengths
    }

    fn open(&self, name: &str) -> std::io::Result<Box<dyn Read + Send + '_>> {
        let bytes = self.bytes.get(name).ok_or_else(|| Error::from(ErrorKind::NotFound))?;
        Ok(Box::new(bytes.as_slice()))
    }
}

fn anchors() -> &'static Anchors {
    static ANCHORS: OnceLock<Anchors> = OnceLock::new();
    ANCHORS.get_or_init(|| Anchors::new(ROOT, Some(TSA_ROOT), POLICY).expect("the seeds' anchors"))
}

fn is_verified(bundle: &dyn Container) -> bool {
    let at = Time::parse(AT.trim_end().as_bytes()).expect("the seeds' time");
    let demands = Demands { at_given: true, inflated_max_bytes: 64 << 20, ..Demands::at(at) };
    verify(bundle, anchors(), &demands, &mut |_, _| ()).is_ok()
}

fn good() -> &'static BTreeMap<String, Vec<u8>> {
    static GOOD: OnceLock<BTreeMap<String, Vec<u8>>> = OnceLock::new();
    GOOD.get_or_init(|| {
        let zip = Zip::in_memory(BUNDLE.to_vec()).expect("the seed is a zip");
        let read = |name: &String| {
            let mut bytes = Vec::new();
            zip.open(name).expect("there").read_to_end(&mut bytes).expect("readable");
            (name.clone(), bytes)
        };
        zip.files().keys().map(read).collect()
    })
}

/// Takes bytes for whatever the first of them says.
pub(crate) fn check(data: &[u8]) {
    let Some((way, data)) = data.split_first() else { return };
    match way % WAYS {
        0 => {
            if let Ok(zip) = Zip::in_memory(data.to_vec()) {
                is_verified(&zip);
            }
        }
        1 => {
            if let Ok(read) = sums::parse(data) {
                assert_eq!(sums::write(&read).as_bytes(), data);
            }
        }
        2 => {
            if let Ok(read) = ContentInfo::parse("fuzz", data) {
                assert_eq!(read.write("fuzz").expect("was read"), data);
                let _ = read.content.certificates("fuzz");
            }
        }
        3 => {
            let _ = tsp::parse(data);
            let _ = tsp::keep(data, b"data", 1);
        }
        4 => {
            if let Ok(read) = Manifest::parse(data) {
                assert_eq!(read.write().expect("was read"), data);
            }
        }
        5 => {
            if let Ok(read) = heads::parse_hashes("fuzz", data) {
                assert_eq!(heads::write_hashes(read).as_bytes(), data);
            }
        }
        6 => {
            if let Some(read) = str::from_utf8(data).ok().and_then(|text| LogProof::parse(text).ok()) {
                assert_eq!(read.to_string().as_bytes(), data);
            }
        }
        7 => {
            let _ = LeafReader::default().read(data);
            let strict = audit_log::jcs::parse_strict(data);
            let canonical =
                strict.is_ok_and(|value| audit_log::jcs::canonical(&value).as_deref() == Ok(data));
            assert!(canonical || LeafReader::default().read(data).is_err());
        }
        8 => {
            let _ = str::from_utf8(data).map(Policy::parse);
        }
        9 => {
            if let Ok(read) = parse_line::<Disclosure>("fuzz", data) {
                assert_eq!(write_line("fuzz", &read).expect("was read"), data);
                let _ = read.opens(&"00".repeat(32));
            }
        }
        10 => {
            if let Ok(read) = parse_line::<Erasure>("fuzz", data) {
                assert_eq!(write_line("fuzz", &read).expect("was read"), data);
            }
        }
        _ => replace(data),
    }
}

/// One file of a good bundle is another: only then is it refused.
fn replace(data: &[u8]) {
    let Some((which, data)) = data.split_first() else { return };
    let mut bytes = good().clone();
    let Some((name, was)) = good().iter().nth(usize::from(*which) % good().len()) else { return };
    bytes.insert(name.clone(), data.to_vec());
    let length = |bytes: &Vec<u8>| u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let lengths = bytes.iter().map(|(name, bytes)| (name.clone(), length(bytes))).collect();
    assert_eq!(is_verified(&Files { bytes, lengths }), data == was, "{name}");
}
