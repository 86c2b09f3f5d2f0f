//! A route: its handler, who may use it, and what its annotation says of it.

use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter, on};
use http::Method;
use utoipa::openapi::OpenApi;
use utoipa::openapi::path::{Operation, PathItem};

use crate::access::{Does, Rule, Subjects};
use crate::auth::Access;
use crate::state::App;

/// One route.
pub struct Endpoint {
    /// Its method.
    pub method: Method,
    /// Its path, with `{name}` for a parameter.
    pub path: String,
    /// Who may use it.
    pub access: Access,
    /// What its requests are about.
    pub subject: Subjects,
    /// What it counts as for a token that is limited to commands.
    pub does: Does,
    /// What its annotation says, with the types that this names.
    pub(crate) document: OpenApi,
    pub(crate) handler: MethodRouter<App>,
}

impl Endpoint {
    /// The route of a handler whose annotation is the whole of this document.
    pub(crate) fn new<H, T>(
        mut document: OpenApi,
        access: Access,
        subject: Subjects,
        does: Does,
        handler: H,
    ) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        let (path, item) = only_path(&mut document);
        let path = path.clone();
        let (method, _) = only_operation(item);
        let does = match does {
            Does::Undeclared if method == Method::GET => Does::Read,
            declared => declared,
        };
        let filter = MethodFilter::try_from(method.clone()).expect("an annotation has a standard method");
        Self {
            method,
            path,
            access,
            subject,
            does,
            document,
            handler: on(filter, handler),
        }
    }

    /// What the guard asks of a request.
    pub(crate) const fn rule(&self) -> Rule {
        Rule {
            access: self.access,
            subject: self.subject,
            does: self.does,
        }
    }

    /// What the annotation says.
    pub(crate) fn operation(&mut self) -> &mut Operation {
        only_operation(only_path(&mut self.document).1).1
    }
}

fn only_path(document: &mut OpenApi) -> (&String, &mut PathItem) {
    let mut paths = document.paths.paths.iter_mut();
    paths.next().expect("an annotation has a path")
}

fn only_operation(item: &mut PathItem) -> (Method, &mut Operation) {
    let methods = [
        (Method::GET, &mut item.get),
        (Method::POST, &mut item.post),
        (Method::PATCH, &mut item.patch),
        (Method::DELETE, &mut item.delete),
    ];
    let mut used = methods
        .into_iter()
        .filter_map(|(method, operation)| Some((method, operation.as_mut()?)));
    used.next()
        .expect("an annotation has one of the methods that Slipway uses")
}

/// Declares the routes of a file: each handler with who may use it. There is no default, and a handler that is not named
/// here is not served, which the compiler says.
///
/// `of` says what its requests are about, and `as` what it counts as for a token that is limited to commands. A route without
/// them is closed to tokens with limits.
macro_rules! endpoints {
    ($($handler:ident: $access:ident $(($role:ident))? $(of $subject:ident)? $(as $does:ident)?,)*) => {
        /// The routes of this file.
        pub(super) fn endpoints() -> Vec<$crate::endpoint::Endpoint> {
            vec![$({
                #[derive(utoipa::OpenApi)]
                #[openapi(paths($handler))]
                struct Annotation;

                $crate::endpoint::Endpoint::new(
                    <Annotation as utoipa::OpenApi>::openapi(),
                    $crate::auth::Access::$access $((slipway_domain::Role::$role))?,
                    $crate::endpoint::subject!($($subject)?),
                    $crate::endpoint::does!($($does)?),
                    $handler,
                )
            },)*]
        }
    };
}

/// What the requests of a route are about; everything, when nothing is said.
macro_rules! subject {
    () => {
        $crate::access::Subjects::Everything
    };
    ($subject:ident) => {
        $crate::access::Subjects::$subject
    };
}

/// What a route counts as.
macro_rules! does {
    () => {
        $crate::access::Does::Undeclared
    };
    (Read) => {
        $crate::access::Does::Read
    };
    (Asked) => {
        $crate::access::Does::Asked
    };
    ($command:ident) => {
        $crate::access::Does::Command(slipway_domain::TokenCommand::$command)
    };
}

pub(crate) use {does, endpoints, subject};
