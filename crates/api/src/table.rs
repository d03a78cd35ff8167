//! The table of endpoints: what there is, who may ask it, and how it is answered. The router, the errors for what is not there and the
//! document at `/openapi.json` all come from it.

use std::{collections::HashMap, sync::LazyLock};

use crate::{
    endpoints,
    namespace::Namespace,
    parts::Later,
    reply::Answer,
    request::{FieldInfo, Request},
};

/// An endpoint.
pub(crate) struct Endpoint {
    /// Its path, without the slash before it.
    pub(crate) path: &'static str,
    pub(crate) group: Group,
    pub(crate) lane: Lane,
    pub(crate) fresh: Fresh,
    /// What it does, in a line.
    pub(crate) doc: &'static str,
    /// A request, in JSON; empty if it takes none.
    pub(crate) example: &'static str,
    pub(crate) fields: fn() -> Vec<FieldInfo>,
    pub(crate) run: Run,
}

/// When an endpoint is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    /// Only with a wallet.
    Wallet,
    /// Always.
    Always,
}

/// Where an endpoint's work is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Where the request arrives: it is in memory.
    Here,
    /// It reads the disk.
    Read,
    /// It waits for the disk.
    Write,
    /// It checks signatures.
    Check,
    /// It opens keys, which takes long and much memory on purpose.
    Keys,
}

/// For how long an answer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fresh {
    /// Not at all.
    Never,
    /// For ever, once there is one: what is in the chain stays in it.
    Always,
    /// Until the wallet changes.
    Wallet,
}

/// How an endpoint is answered.
pub(crate) enum Run {
    /// At once, in its lane.
    Sync(Box<Sync>),
    /// After having waited for others.
    Async(Box<Async>),
}

type Sync = dyn Fn(&Namespace, &[u8]) -> Answer + Send + std::marker::Sync;
type Async = dyn for<'n> Fn(&'n Namespace, Vec<u8>) -> Later<'n, Answer> + Send + std::marker::Sync;

impl Endpoint {
    /// An endpoint that is always there.
    pub(crate) fn always<R: Request>(
        path: &'static str,
        lane: Lane,
        run: fn(&Namespace, R) -> Answer,
    ) -> Self {
        Self {
            path,
            group: Group::Always,
            lane,
            fresh: Fresh::Never,
            doc: "",
            example: "",
            fields: R::fields,
            run: Run::Sync(Box::new(move |namespace, body| {
                run(namespace, R::read(body)?)
            })),
        }
    }

    /// An endpoint of the wallet.
    pub(crate) fn wallet<R: Request>(
        path: &'static str,
        lane: Lane,
        run: fn(&Namespace, R) -> Answer,
    ) -> Self {
        Self {
            group: Group::Wallet,
            ..Self::always(path, lane, run)
        }
    }

    /// An endpoint that waits for others.
    pub(crate) fn waiting<R: Request>(
        path: &'static str,
        run: for<'n> fn(&'n Namespace, R) -> Later<'n, Answer>,
    ) -> Self {
        Self {
            path,
            group: Group::Always,
            lane: Lane::Here,
            fresh: Fresh::Never,
            doc: "",
            example: "",
            fields: R::fields,
            run: Run::Async(Box::new(move |namespace, body| match R::read(&body) {
                Ok(request) => run(namespace, request),
                Err(fault) => Box::pin(std::future::ready(Err(fault))),
            })),
        }
    }

    pub(crate) fn doc(mut self, doc: &'static str) -> Self {
        self.doc = doc;
        self
    }

    pub(crate) fn example(mut self, example: &'static str) -> Self {
        self.example = example;
        self
    }

    pub(crate) fn fresh(mut self, fresh: Fresh) -> Self {
        self.fresh = fresh;
        self
    }
}

/// All endpoints, in the order in which they are told.
pub(crate) struct Table {
    pub(crate) endpoints: Vec<Endpoint>,
    by_path: HashMap<&'static str, usize>,
}

impl Table {
    /// The only one.
    pub(crate) fn get() -> &'static Self {
        static TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(endpoints::all()));
        &TABLE
    }

    fn new(endpoints: Vec<Endpoint>) -> Self {
        let by_path = endpoints
            .iter()
            .enumerate()
            .map(|(index, endpoint)| (endpoint.path, index))
            .collect();
        Self { endpoints, by_path }
    }

    /// The endpoint of a path (with its slash) and its place in the table.
    pub(crate) fn find(&self, path: &str) -> Option<(usize, &Endpoint)> {
        let index = *self.by_path.get(path.strip_prefix('/')?)?;
        Some((index, &self.endpoints[index]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::parse;

    #[test]
    fn the_table_is_whole() {
        let table = Table::get();
        assert_eq!(table.by_path.len(), table.endpoints.len(), "no path twice");
        for endpoint in &table.endpoints {
            let path = endpoint.path;
            assert!(!endpoint.doc.is_empty(), "{path} says nothing");
            let fields = (endpoint.fields)();
            assert_eq!(
                endpoint.example.is_empty(),
                fields.is_empty(),
                "{path}: an example for what it takes, and none for nothing"
            );
            if fields.is_empty() {
                continue;
            }
            let example = parse(endpoint.example.as_bytes()).expect(path);
            for name in example.as_object().expect(path).keys() {
                let known = fields.iter().any(|field| field.name == name);
                assert!(known, "{path} takes no {name}");
            }
        }
    }
}
