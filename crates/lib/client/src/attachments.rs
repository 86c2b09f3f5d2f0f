//! What is attached to releases.

use reqwest::Method;
use slipway_domain::ReleaseRef;
use slipway_wire::attachment::{
    AttachDocument, AttachedDocument, Attachment, DocumentQuery, EntriesQuery, ReleaseComponents,
    ReleaseVulnerabilities,
};
use slipway_wire::route::{self, fill};

use crate::{Client, ClientError};

impl Client {
    /// Attaches a document to a release.
    pub async fn attach_document(
        &self,
        release: &ReleaseRef,
        document: &AttachDocument,
    ) -> Result<Attachment, ClientError> {
        self.change(Method::POST, &fill(route::RELEASE_ATTACHMENTS, release), document)
            .await
    }

    /// What is attached to a release.
    pub async fn attachments(&self, release: &ReleaseRef) -> Result<Vec<Attachment>, ClientError> {
        self.list(&fill(route::RELEASE_ATTACHMENTS, release)).await
    }

    /// A document as it was attached.
    pub async fn attached_document(
        &self,
        release: &ReleaseRef,
        query: &DocumentQuery,
    ) -> Result<AttachedDocument, ClientError> {
        self.get_with(&fill(route::RELEASE_DOCUMENT, release), query, None)
            .await
    }

    /// What a release is made of.
    pub async fn release_components(
        &self,
        release: &ReleaseRef,
        query: &EntriesQuery,
    ) -> Result<ReleaseComponents, ClientError> {
        self.get_with(&fill(route::RELEASE_COMPONENTS, release), query, None)
            .await
    }

    /// Known vulnerabilities of a release.
    pub async fn release_vulnerabilities(
        &self,
        release: &ReleaseRef,
        query: &EntriesQuery,
    ) -> Result<ReleaseVulnerabilities, ClientError> {
        self.get_with(&fill(route::RELEASE_VULNERABILITIES, release), query, None)
            .await
    }
}
