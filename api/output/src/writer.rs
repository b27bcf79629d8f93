//! The text so far, where in the answer it stands, and what has failed.

use async_graphql::{Error, PathSegment, Pos, QueryPathNode, QueryPathSegment, ServerError};

/// A value failed where null is not allowed. The error itself is with the [`Writer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed;

/// Whether a value was written.
pub type Wrote = Result<(), Failed>;

#[derive(Clone, Copy)]
enum Segment<'a> {
    Key(&'a str),
    Index(usize),
}

/// How far the text was.
#[derive(Clone, Copy)]
pub(crate) struct Mark {
    text: usize,
    journal: usize,
    leaves: usize,
}

/// The way to a place in the answer, from its root.
pub(crate) fn segments(at: Option<QueryPathNode<'_>>) -> Vec<PathSegment> {
    let mut segments = Vec::new();
    let mut next = at.as_ref();
    while let Some(node) = next {
        segments.push(match node.segment {
            QueryPathSegment::Name(name) => PathSegment::Field(name.to_owned()),
            QueryPathSegment::Index(index) => PathSegment::Index(index),
        });
        next = node.parent;
    }
    segments.reverse();
    segments
}

/// The keys of a path, without the indices of lists.
pub(crate) fn keys(path: &[PathSegment]) -> impl Iterator<Item = &str> {
    path.iter().filter_map(|segment| match segment {
        PathSegment::Field(name) => Some(name.as_str()),
        PathSegment::Index(_) => None,
    })
}

/// The text so far. A value that fails is still written to its end, so that what was resolved below its siblings is
/// used up in order; then it is cut off.
pub struct Writer<'a> {
    pub(crate) text: Vec<u8>,
    /// Places of what was written, in order.
    pub(crate) journal: Vec<usize>,
    /// Errors that ended in a null.
    pub(crate) errors: Vec<ServerError>,
    /// The error on its way to a nullable value.
    pub(crate) pending: Option<ServerError>,
    leaves: usize,
    /// Values around that have failed already: as in async-graphql, the first error is the one told.
    muted: usize,
    outside: Vec<PathSegment>,
    path: Vec<Segment<'a>>,
    pub(crate) pos: Pos,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(outside: Vec<PathSegment>, pos: Pos) -> Self {
        Self {
            text: Vec::with_capacity(1_024),
            journal: Vec::new(),
            errors: Vec::new(),
            pending: None,
            leaves: 0,
            muted: 0,
            outside,
            path: Vec::new(),
            pos,
        }
    }

    /// Keys of the answer around the written value, without the indices of lists.
    pub(crate) fn outside_keys(&self) -> impl Iterator<Item = &str> {
        keys(&self.outside)
    }

    /// Notes an error of the value that is being written.
    pub fn fail(&mut self, error: Error) -> Failed {
        let error = error.into_server_error(self.pos);
        self.fail_with(error)
    }

    pub(crate) fn fail_with(&mut self, error: ServerError) -> Failed {
        if self.muted == 0 {
            let inside = self.path.iter().map(|segment| match segment {
                Segment::Key(key) => PathSegment::Field((*key).to_owned()),
                Segment::Index(index) => PathSegment::Index(*index),
            });
            let path = self.outside.iter().cloned().chain(inside).collect();
            self.pending = Some(error.with_path(path));
        }
        Failed
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark { text: self.text.len(), journal: self.journal.len(), leaves: self.leaves }
    }

    /// Writes null in place of everything since `mark`; the error ends here.
    pub(crate) fn null_instead(&mut self, mark: Mark) {
        self.text.truncate(mark.text);
        self.journal.truncate(mark.journal);
        self.leaves = mark.leaves;
        self.null();
        if self.muted == 0 {
            self.errors.extend(self.pending.take());
        }
    }

    /// Remembers the first failure among siblings and keeps the others quiet until [`Self::settle`].
    pub(crate) fn keep_first(&mut self, failure: &mut Option<Failed>, wrote: Wrote) {
        if let Err(failed) = wrote
            && failure.is_none()
        {
            *failure = Some(failed);
            self.muted += 1;
        }
    }

    pub(crate) fn settle(&mut self, failure: Option<Failed>) -> Wrote {
        match failure {
            None => Ok(()),
            Some(failed) => {
                self.muted -= 1;
                Err(failed)
            }
        }
    }

    pub(crate) fn enter(&mut self, key: &'a str) {
        self.path.push(Segment::Key(key));
    }

    pub(crate) fn leave(&mut self) {
        self.path.pop();
    }

    pub(crate) fn open_list(&mut self) {
        self.text.push(b'[');
    }

    pub(crate) fn close_list(&mut self) {
        self.text.push(b']');
    }

    pub(crate) fn open_item(&mut self, index: usize) {
        if index > 0 {
            self.text.push(b',');
        }
        self.path.push(Segment::Index(index));
    }

    pub(crate) fn close_item(&mut self) {
        self.path.pop();
    }

    pub(crate) fn null(&mut self) {
        self.text.extend_from_slice(b"null");
    }

    /// Where a leaf is to be written. Every leaf that is not null is counted here.
    pub(crate) fn leaf(&mut self) -> &mut Vec<u8> {
        self.leaves += 1;
        &mut self.text
    }

    pub(crate) fn leaves(&self) -> usize {
        self.leaves
    }
}
