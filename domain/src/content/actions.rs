//! Everything that can be done with content.

use crate::kernel::{
    action::{API_ACTIVITY, Action, actions},
    actor::Permission,
};

actions! {
    /// Room is made for a file.
    BEGIN_UPLOAD = "begin_upload", Data, API_ACTIVITY, 1, Some(Permission::ManageContent), Optional, PERSONAL;
    /// Pieces that were sent side by side become one file.
    JOIN_UPLOADS = "join_uploads", Data, API_ACTIVITY, 1, Some(Permission::ManageContent), Optional, PERSONAL;
    /// The last bytes of a file have arrived; those before leave no event of their own.
    RECEIVE_PARTS = "receive_parts", Data, API_ACTIVITY, 3, Some(Permission::ManageContent), Optional, PERSONAL;
    /// A file was read back, and is of use or not.
    CHECK_UPLOAD = "check_upload", Data, API_ACTIVITY, 3, None, Optional, PERSONAL;
    /// A file is given up, wholly here or half way here.
    CANCEL_UPLOAD = "cancel_upload", Data, API_ACTIVITY, 4, Some(Permission::ManageContent), Optional, PERSONAL;
    /// A file is to be made of another, so that a platform has nothing against it.
    TRANSCODE_UPLOAD = "transcode_upload", Data, API_ACTIVITY, 1, Some(Permission::ManageContent), Optional, PERSONAL;
    /// A file was made of another, or could not be.
    FINISH_TRANSCODE = "finish_transcode", Data, API_ACTIVITY, 3, None, Optional, PERSONAL;
    /// A file that did not arrive in time is thrown away.
    EXPIRE_UPLOAD = "expire_upload", Data, API_ACTIVITY, 4, None, Optional, PERSONAL;
}

/// What nobody asks for by a mutation: what happens at the door for bytes, and to files that arrived or did not.
pub const WITHOUT_MUTATION: &[Action] =
    &[JOIN_UPLOADS, RECEIVE_PARTS, CHECK_UPLOAD, EXPIRE_UPLOAD, FINISH_TRANSCODE];
