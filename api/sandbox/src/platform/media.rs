//! What was uploaded and not yet posted: whole videos, parts, images. The bytes are not kept.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Platform, calendar::SECOND_MS, fingerprint, refusal::Refusal};

/// A file as it came in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct File {
    /// The name of its field in the form.
    pub(crate) field: String,
    pub(crate) name: String,
    pub(crate) size_bytes: u64,
    pub(crate) sha256: String,
    /// As its header says, where it is an MP4 that can be read.
    pub(crate) width: Option<i64>,
    pub(crate) height: Option<i64>,
    pub(crate) duration_ms: Option<i64>,
}

/// A video or image that can be posted.
#[derive(Clone, Debug)]
pub(crate) struct Medium {
    pub(crate) client_key: String,
    pub(crate) user: String,
    pub(crate) sha256: String,
    pub(crate) width: i64,
    pub(crate) height: i64,
    pub(crate) duration_ms: i64,
    pub(crate) used: bool,
}

#[derive(Debug)]
struct Upload {
    client_key: String,
    user: String,
    begun_ms: i64,
    parts: BTreeMap<i64, File>,
    done: bool,
}

/// All uploads.
#[derive(Debug, Default)]
pub(crate) struct Library {
    uploads: HashMap<String, Upload>,
    pub(crate) videos: HashMap<String, Medium>,
    pub(crate) images: HashMap<String, Medium>,
}

impl Platform {
    /// A whole video.
    pub(crate) fn add_video(&mut self, by: (&str, &str), file: &File) -> Result<(String, Medium), Refusal> {
        if file.size_bytes == 0 {
            return Err(Refusal::VideoIdInvalid);
        }
        if file.size_bytes > self.switches.whole_limit_bytes {
            return Err(Refusal::FileTooBig);
        }
        self.keep_video(by, file)
    }

    fn keep_video(&mut self, by: (&str, &str), file: &File) -> Result<(String, Medium), Refusal> {
        let medium = self.medium(by, file);
        if medium.duration_ms > self.switches.duration_max_s * SECOND_MS {
            return Err(Refusal::DurationTooLong);
        }
        let id = self.mint_opaque("video");
        self.media.videos.insert(id.clone(), medium.clone());
        self.did("upload", by, &[&file.sha256], json!({ "video_id": id }));
        Ok((id, medium))
    }

    fn medium(&self, (client_key, user): (&str, &str), file: &File) -> Medium {
        Medium {
            client_key: client_key.to_owned(),
            user: user.to_owned(),
            sha256: file.sha256.clone(),
            width: file.width.unwrap_or(self.switches.default_width),
            height: file.height.unwrap_or(self.switches.default_height),
            duration_ms: file.duration_ms.unwrap_or(self.switches.default_duration_s * SECOND_MS),
            used: false,
        }
    }

    /// An image.
    pub(crate) fn add_image(&mut self, by: (&str, &str), file: &File) -> Result<(String, Medium), Refusal> {
        if file.size_bytes > self.switches.image_limit_bytes {
            return Err(Refusal::FileTooBig);
        }
        if file.size_bytes == 0 {
            return Err(Refusal::BadParameter("image"));
        }
        let medium = self.medium(by, file);
        let id = self.mint_opaque("image");
        self.media.images.insert(id.clone(), medium.clone());
        self.did("upload", by, &[&file.sha256], json!({ "image_id": id }));
        Ok((id, medium))
    }

    /// Begins an upload in parts.
    pub(crate) fn begin_upload(&mut self, (client_key, user): (&str, &str)) -> String {
        let id = self.mint_opaque("upload");
        let upload = Upload {
            client_key: client_key.to_owned(),
            user: user.to_owned(),
            begun_ms: self.now_ms(),
            parts: BTreeMap::new(),
            done: false,
        };
        self.media.uploads.insert(id.clone(), upload);
        id
    }

    fn open_upload(&mut self, (client_key, user): (&str, &str), id: &str) -> Result<&mut Upload, Refusal> {
        let (now_ms, life_ms) = (self.now_ms(), self.switches.upload_id_life_s * SECOND_MS);
        let upload = self.media.uploads.get_mut(id);
        upload
            .filter(|upload| upload.client_key == client_key && upload.user == user && !upload.done)
            .filter(|upload| now_ms <= upload.begun_ms + life_ms)
            .ok_or(Refusal::BadParameter("upload_id"))
    }

    /// One part; the same number again replaces it.
    pub(crate) fn put_part(
        &mut self,
        by: (&str, &str),
        id: &str,
        number: i64,
        file: &File,
    ) -> Result<(), Refusal> {
        let (max, total) = (self.switches.part_max_bytes, self.switches.total_limit_bytes);
        let upload = self.open_upload(by, id)?;
        if number < 1 {
            return Err(Refusal::BadParameter("part_number"));
        }
        if file.size_bytes == 0 || file.size_bytes > max {
            return Err(Refusal::BadParameter("part size"));
        }
        let others: u64 =
            upload.parts.iter().filter(|(other, _)| **other != number).map(|(_, part)| part.size_bytes).sum();
        if others + file.size_bytes > total {
            return Err(Refusal::FileTooBig);
        }
        upload.parts.insert(number, file.clone());
        Ok(())
    }

    /// Puts the parts together: none may be missing, and only the last may be small.
    pub(crate) fn complete_upload(
        &mut self,
        by: (&str, &str),
        id: &str,
    ) -> Result<(String, Medium), Refusal> {
        let min = self.switches.part_min_bytes;
        let upload = self.open_upload(by, id)?;
        let (Some((&last, _)), Ok(count)) =
            (upload.parts.last_key_value(), i64::try_from(upload.parts.len()))
        else {
            return Err(Refusal::BadParameter("no parts"));
        };
        if last != count {
            return Err(Refusal::BadParameter("a part is missing"));
        }
        if upload.parts.iter().any(|(number, part)| *number != last && part.size_bytes < min) {
            return Err(Refusal::BadParameter("a part is too small"));
        }
        let hashes: Vec<_> = upload.parts.values().map(|part| part.sha256.as_str()).collect();
        let told = |of: fn(&File) -> Option<i64>| upload.parts.values().find_map(of);
        let file = File {
            field: "video".to_owned(),
            name: String::new(),
            size_bytes: upload.parts.values().map(|part| part.size_bytes).sum(),
            sha256: fingerprint(&hashes),
            width: told(|part| part.width),
            height: told(|part| part.height),
            duration_ms: told(|part| part.duration_ms),
        };
        upload.done = true;
        self.keep_video(by, &file)
    }
}
