//! Files in memory.

use std::{
    collections::BTreeMap,
    io::{Error, ErrorKind, Read},
};

use matricula_verify::container::{Container, Zip};

#[derive(Clone, Debug)]
pub(crate) struct Memory {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    lengths: BTreeMap<String, u64>,
}

impl Memory {
    pub(crate) fn new(files: BTreeMap<String, Vec<u8>>) -> Self {
        let length = |bytes: &Vec<u8>| u64::try_from(bytes.len()).expect("a length");
        let lengths = files.iter().map(|(name, bytes)| (name.clone(), length(bytes))).collect();
        Self { files, lengths }
    }

    pub(crate) fn unzip(zip: &[u8]) -> Self {
        let zip = Zip::in_memory(zip.to_vec()).expect("a zip");
        let read = |name: &String| {
            let mut bytes = Vec::new();
            zip.open(name).expect("there").read_to_end(&mut bytes).expect("readable");
            (name.clone(), bytes)
        };
        Self::new(zip.files().keys().map(read).collect())
    }
}

impl Container for Memory {
    fn files(&self) -> &BTreeMap<String, u64> {
        &self.lengths
    }

    fn open(&self, name: &str) -> std::io::Result<Box<dyn Read + Send + '_>> {
        let file = self.files.get(name).ok_or_else(|| Error::from(ErrorKind::NotFound))?;
        Ok(Box::new(file.as_slice()))
    }
}
