//! The document that describes the API, made from the table of endpoints (OpenAPI 3).

use std::sync::OnceLock;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::{
    go_json,
    request::parse,
    table::{Endpoint, Group, Table},
};

/// The document.
pub(crate) fn document(version: &str) -> Bytes {
    static DOCUMENT: OnceLock<Bytes> = OnceLock::new();
    DOCUMENT
        .get_or_init(|| go_json::to_vec(&make(version)).into())
        .clone()
}

fn make(version: &str) -> Value {
    let mut paths = Map::new();
    for endpoint in &Table::get().endpoints {
        paths.insert(format!("/{}", endpoint.path), path(endpoint));
    }
    for (name, doc, kind) in [
        ("/healthz", "Whether the node runs.", "application/json"),
        (
            "/readyz",
            "Whether the node can be sent work; status 503 if not.",
            "application/json",
        ),
        (
            "/readyz/reads",
            "Whether the node can be asked what its chain is now, which may stand or be behind; status 503 if not.",
            "application/json",
        ),
        (
            "/metrics",
            "Figures for Prometheus.",
            "application/openmetrics-text",
        ),
        ("/openapi.json", "This document.", "application/json"),
        (
            "/websocket-subscribe",
            "A WebSocket: send {\"topic\": \"notify_raw_blocks\"} and others.",
            "text/plain",
        ),
    ] {
        let answer = json!({"description": doc, "content": {(kind): {}}});
        paths.insert(
            name.to_owned(),
            json!({"get": {"summary": doc, "operationId": name[1..].replace('/', "-"), "responses": {"default": answer}}}),
        );
    }
    json!({
        "openapi": "3.0.3",
        "info": {
            "title": "batond",
            "version": version,
            "description": "The API of a Bytom v2 node. Any method will do; a request's body is one JSON value.",
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "The id of an access token and its secret. Not needed on the node's own machine, unless its operator wants it.",
                },
            },
            "schemas": {
                "Success": {
                    "type": "object",
                    "required": ["status"],
                    "properties": {"status": {"type": "string", "enum": ["success"]}, "data": {}},
                },
                "Fail": {
                    "type": "object",
                    "required": ["status", "code", "msg"],
                    "properties": {
                        "status": {"type": "string", "enum": ["fail"]},
                        "code": {"type": "string", "example": "BTM709"},
                        "msg": {"type": "string"},
                        "error_detail": {"type": "string"},
                    },
                },
                "TransportError": {
                    "type": "object",
                    "required": ["code", "msg", "status", "temporary"],
                    "properties": {
                        "code": {"type": "string", "example": "BTM002"},
                        "msg": {"type": "string"},
                        "status": {"type": "string", "enum": ["fail"]},
                        "detail": {"type": "string"},
                        "temporary": {"type": "boolean"},
                    },
                },
            },
        },
    })
}

fn path(endpoint: &Endpoint) -> Value {
    let content = |schema: Value| json!({"application/json": {"schema": schema}});
    let schema = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    let mut operation = json!({
        "operationId": endpoint.path,
        "summary": endpoint.doc,
        "tags": [match endpoint.group {
            Group::Wallet => "wallet",
            Group::Always => "node",
        }],
        "responses": {
            "200": {
                "description": "The answer, or why there is none.",
                "content": content(json!({"oneOf": [schema("Success"), schema("Fail")]})),
            },
            "default": {
                "description": "The request did not reach the endpoint.",
                "content": content(schema("TransportError")),
            },
        },
    });
    let fields = (endpoint.fields)();
    if !fields.is_empty() {
        let properties: Map<String, Value> = fields
            .into_iter()
            .map(|field| {
                let mut schema = field.schema;
                if let Value::Object(schema) = &mut schema {
                    schema.insert("description".to_owned(), field.doc.into());
                }
                (field.name.to_owned(), schema)
            })
            .collect();
        let example = parse(endpoint.example.as_bytes()).unwrap_or_default();
        operation["requestBody"] = json!({
            "required": true,
            "content": {
                "application/json": {
                    "schema": {"type": "object", "properties": properties},
                    "example": example,
                },
            },
        });
    }
    json!({"post": operation})
}
