//! What somebody does to the zip or the directory, with the signer's key.

use std::io::Write as _;

use matricula_verify::{
    Demands, Step,
    container::{Directory, Zip},
    verify,
};
use rawzip::{
    CompressionMethod, DataDescriptorOutput, Header, ZipArchiveWriter, extra_fields::ExtraFieldId,
    path::EntryPath,
};
use report_bundle::names;

use super::kit::{Bundle, Folder, KeyKind, Maker, Pki, Seal, demands};

fn scene() -> (Pki, Bundle) {
    let pki = Pki::new(KeyKind::P256);
    let bundle = Maker::new().make(&pki, Seal::Signed);
    (pki, bundle)
}

/// A zip of these files, as they are.
fn zip(files: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>) -> Vec<u8> {
    let mut zip = ZipArchiveWriter::new(Vec::new());
    for (name, bytes) in files {
        let (mut entry, _) = zip.new_file(EntryPath::verbatim(name)).start().expect("begun");
        std::io::Write::write_all(&mut entry, &bytes).expect("written");
        let mut crc = flate2::Crc::new();
        crc.update(&bytes);
        entry.finish(DataDescriptorOutput::new(crc.sum(), u64::from(crc.amount()))).expect("ended");
    }
    zip.finish().expect("ended")
}

fn zip_step(pki: &Pki, bundle: &Bundle, zip: Vec<u8>) -> Step {
    match Zip::in_memory(zip) {
        Ok(zip) => bundle.refused(pki, &zip),
        Err(refusal) => refusal.step,
    }
}

#[test]
fn zips_are_read_in_one_way_only() {
    let (pki, bundle) = scene();
    let files: Vec<_> =
        bundle.files().files.into_iter().map(|(name, bytes)| (name.into_bytes(), bytes)).collect();
    assert!(bundle.judge(&pki, &Zip::in_memory(zip(files.clone())).expect("a zip")).is_ok());
    let with = |name: &[u8]| {
        let more = [(name.to_vec(), b"x".to_vec())];
        zip_step(&pki, &bundle, zip(files.clone().into_iter().chain(more)))
    };
    for name in [
        &b"report.csv"[..],
        b"../report.csv",
        b"/etc/passwd",
        b"heads/../../x",
        b"C:\\x",
        b"heads\\checkpoint",
        b"REPORT.CSV",
        b"report.csv\0",
        b"report.csv ",
        b"./report.csv",
        b"extra.txt",
        b"\xff",
        b"",
    ] {
        assert_eq!(with(name), Step::Container, "{}", String::from_utf8_lossy(name));
    }
    let good = zip(files.clone());
    for (bad, what) in [
        ([&good[..], b"x"].concat(), "bytes behind"),
        ([&b"x"[..], &good].concat(), "bytes in front"),
        (good[..good.len() - 1].to_vec(), "cut"),
        (Vec::new(), "nothing"),
        (b"PK\x05\x06".to_vec(), "an end alone"),
    ] {
        assert_eq!(zip_step(&pki, &bundle, bad), Step::Container, "{what}");
    }
    let end = good.len() - 22;
    let first = good.windows(4).position(|bytes| bytes == b"PK\x01\x02").expect("a directory");
    for (at, byte, what) in [
        (end + 4, 1, "another disk"),
        (end + 8, 1, "other files on this disk"),
        (end + 10, 1, "other files"),
        (end + 12, 1, "another length of the directory"),
        (end + 20, 1, "a comment that is not there"),
        (6, 1, "encrypted, says its own header"),
        (first + 8, 1, "encrypted, says the directory"),
        (14, 1, "another checksum in its own header"),
        (18, 1, "another length in its own header"),
        (first + 16, 1, "another checksum in the directory"),
        (first + 24, 1, "another length in the directory"),
    ] {
        let mut bad = good.clone();
        bad[at] ^= byte;
        assert_eq!(zip_step(&pki, &bundle, bad), Step::Container, "{what}");
    }
    let mut commented = good.clone();
    commented[end + 20] = 1;
    commented.push(b'x');
    assert_eq!(zip_step(&pki, &bundle, commented), Step::Container, "a comment");
    // Its own header calls the first file something else than the directory does.
    let at = good.windows(12).position(|bytes| bytes == b"SHA256SUMS.p").expect("a header");
    let mut renamed = good.clone();
    renamed[at] = b'T';
    assert_eq!(zip_step(&pki, &bundle, renamed), Step::Container, "two names");
}

#[test]
fn a_zip_that_inflates_without_end_is_not_followed() {
    let (pki, bundle) = scene();
    let files = bundle.files().files;
    // 64 MiB of nothing, said to be the report.
    let mut out = ZipArchiveWriter::new(Vec::new());
    for (name, bytes) in &files {
        let bytes = if name == names::REPORT { vec![0; 64 << 20] } else { bytes.clone() };
        let (mut entry, config) = out
            .new_file(name.as_str())
            .compression_method(CompressionMethod::DEFLATE)
            .start()
            .expect("begun");
        let encoder = flate2::write::DeflateEncoder::new(&mut entry, flate2::Compression::best());
        let mut writer = config.wrap(encoder);
        std::io::Write::write_all(&mut writer, &bytes).expect("written");
        let (encoder, descriptor) = writer.finish().expect("ended");
        encoder.finish().expect("ended");
        entry.finish(descriptor).expect("ended");
    }
    let bomb = out.finish().expect("ended");
    assert!(bomb.len() < 1 << 20);
    let zip = Zip::in_memory(bomb.clone()).expect("a zip");
    let limited = Demands { inflated_max_bytes: 16 << 20, ..demands() };
    let refusal = verify(&zip, &bundle.anchors(&pki), &limited, &mut |_, _| ()).expect_err("refused");
    assert_eq!(refusal.step, Step::Container);
    // Without that limit it is read once, and is another file.
    assert_eq!(bundle.refused(&pki, &zip), Step::Hashes);
    // What is said of its length is not true.
    let at = bomb.windows(10).rposition(|bytes| bytes == b"report.csv").expect("in the directory");
    let mut liar = bomb;
    liar[at - 22..at - 18].copy_from_slice(&100_u32.to_le_bytes());
    assert_eq!(zip_step(&pki, &bundle, liar), Step::Container);
}

#[test]
fn what_some_readers_of_zips_go_by_is_refused() {
    let (pki, bundle) = scene();
    let with = |place: Header, deflated: &dyn Fn(Vec<u8>) -> Vec<u8>| {
        let mut out = ZipArchiveWriter::new(Vec::new());
        for (name, bytes) in &bundle.files().files {
            let builder = out.new_file(name.as_str()).compression_method(CompressionMethod::DEFLATE);
            // Another name, as Info-ZIP has it.
            let other = [&b"\x01\0\0\0\0"[..], b"other.csv"].concat();
            let builder = if name == names::REPORT && place != Header::default() {
                builder.extra_field(ExtraFieldId::INFO_ZIP_UNICODE_PATH, &other, place).expect("added")
            } else {
                builder
            };
            let (mut entry, _) = builder.start().expect("begun");
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).expect("written");
            let mut packed = encoder.finish().expect("ended");
            if name == names::REPORT {
                packed = deflated(packed);
            }
            entry.write_all(&packed).expect("written");
            let mut crc = flate2::Crc::new();
            crc.update(bytes);
            entry.finish(DataDescriptorOutput::new(crc.sum(), u64::from(crc.amount()))).expect("ended");
        }
        zip_step(&pki, &bundle, out.finish().expect("ended"))
    };
    assert_eq!(with(Header::LOCAL, &|packed| packed), Step::Container, "another name in its own header");
    assert_eq!(with(Header::CENTRAL, &|packed| packed), Step::Container, "another name in the directory");
    let hidden = |packed: Vec<u8>| [packed, b"hidden".to_vec()].concat();
    assert_eq!(with(Header::default(), &hidden), Step::Hashes, "bytes behind what is compressed");
}

#[test]
fn directories_have_files_and_nothing_else() {
    type Spoil = fn(&Folder);
    let (_, bundle) = scene();
    let spoil: [(&str, Spoil); 4] = [
        ("a file more", |folder| folder.write("notes.txt", b"x")),
        ("a folder more", |folder| folder.write("more/x", b"x")),
        ("a file more in a folder", |folder| folder.write("heads/x", b"x")),
        ("a link", |folder| {
            std::fs::remove_file(folder.path().join("report.csv")).expect("removed");
            std::os::unix::fs::symlink("/etc/hostname", folder.path().join("report.csv")).expect("a link");
        }),
    ];
    for (what, spoil) in spoil {
        let folder = Folder::new();
        bundle.files().files.iter().for_each(|(name, bytes)| folder.write(name, bytes));
        assert!(Directory::open(folder.path()).is_ok());
        spoil(&folder);
        assert_eq!(Directory::open(folder.path()).expect_err("refused").step, Step::Container, "{what}");
    }
}
