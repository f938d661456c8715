//! DevTools commands whose generated types have many members that are not needed here.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use headless_chrome::protocol::cdp::types::Method;
use headless_chrome::protocol::cdp::{Emulation, Fetch, Input, Network, Page, Runtime, Target, WebAuthn};
use serde::Serialize;
use serde_json::Value;

use super::Passkey;

/// `Storage.setCookies` with more than one cookie, which the generated type cannot say.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SetCookies {
    cookies: Vec<Value>,
    browser_context_id: String,
}

impl SetCookies {
    /// Puts cookies, as `Storage.getCookies` tells them, into a browser context.
    pub(super) fn new(cookies: &[Value], context: &str) -> Self {
        let settable = |cookie: &Value| {
            let mut cookie = cookie.clone();
            if let Some(cookie) = cookie.as_object_mut() {
                let session = cookie.get("session") == Some(&Value::Bool(true));
                // An expiry in the past would delete the cookie; the others are told of a cookie and never said.
                cookie.retain(|name, _| !(matches!(name.as_str(), "session" | "size") || name == "expires" && session));
            }
            cookie
        };
        SetCookies { cookies: cookies.iter().map(settable).collect(), browser_context_id: context.to_owned() }
    }
}

/// Values of cookies never reach a log.
impl std::fmt::Debug for SetCookies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SetCookies({})", self.cookies.len())
    }
}

impl Method for SetCookies {
    const NAME: &'static str = "Storage.setCookies";
    type ReturnObject = Value;
}

/// Evaluates an expression as a user's gesture, waits for a promise, and returns its value.
pub(super) fn evaluate(expression: String) -> Runtime::Evaluate {
    Runtime::Evaluate {
        expression,
        object_group: None,
        include_command_line_api: None,
        silent: Some(true),
        context_id: None,
        return_by_value: Some(true),
        generate_preview: None,
        user_gesture: Some(true),
        await_promise: Some(true),
        throw_on_side_effect: None,
        timeout: None,
        disable_breaks: None,
        repl_mode: None,
        allow_unsafe_eval_blocked_by_csp: None,
        unique_context_id: None,
        serialization_options: None,
    }
}

/// An empty tab in a browser context.
pub(super) fn create_target(context: &str) -> Target::CreateTarget {
    Target::CreateTarget {
        url: "about:blank".into(),
        left: None,
        top: None,
        width: None,
        height: None,
        window_state: None,
        browser_context_id: Some(context.to_owned()),
        enable_begin_frame_control: None,
        new_window: None,
        background: None,
        for_tab: None,
        hidden: None,
    }
}

/// Network events, with request bodies up to 64 KiB. Bodies that are kept for later questions do not fill the memory.
pub(super) fn network_enable() -> Network::Enable {
    Network::Enable {
        max_total_buffer_size: Some(32 << 20),
        max_resource_buffer_size: Some(4 << 20),
        max_post_data_size: Some(65_536),
        report_direct_socket_traffic: None,
        enable_durable_messages: None,
    }
}

/// A viewport of 1000 x 750.
pub(super) fn viewport() -> Emulation::SetDeviceMetricsOverride {
    Emulation::SetDeviceMetricsOverride {
        width: 1000,
        height: 750,
        device_scale_factor: 1.0,
        mobile: false,
        scale: None,
        screen_width: None,
        screen_height: None,
        position_x: None,
        position_y: None,
        dont_set_visible_size: None,
        screen_orientation: None,
        viewport: None,
        display_feature: None,
        device_posture: None,
    }
}

/// Goes to a URL.
pub(super) fn navigate(url: &str) -> Page::Navigate {
    Page::Navigate { url: url.to_owned(), referrer: None, transition_Type: None, frame_id: None, referrer_policy: None }
}

/// A PNG of the viewport.
pub(super) fn screenshot() -> Page::CaptureScreenshot {
    Page::CaptureScreenshot {
        format: Some(Page::CaptureScreenshotFormatOption::Png),
        quality: None,
        clip: None,
        from_surface: None,
        capture_beyond_viewport: None,
        optimize_for_speed: Some(true),
    }
}

/// Answers requests for this URL itself.
pub(super) fn intercept(url: &str) -> Fetch::Enable {
    let pattern = Fetch::RequestPattern { url_pattern: Some(url.to_owned()), resource_Type: None, request_stage: None };
    Fetch::Enable { patterns: Some(vec![pattern]), handle_auth_requests: None }
}

/// An empty HTML document in place of the server's answer.
pub(super) fn fulfil_blank(request_id: String) -> Fetch::FulfillRequest {
    let header = Fetch::HeaderEntry { name: "Content-Type".into(), value: "text/html; charset=utf-8".into() };
    Fetch::FulfillRequest {
        request_id,
        response_code: 200,
        response_headers: Some(vec![header]),
        binary_response_headers: None,
        body: Some(STANDARD.encode("<!doctype html><title>suite</title><body></body>")),
        response_phrase: None,
    }
}

/// The enter key: down (which types a line break) and up.
pub(super) fn enter() -> [Input::DispatchKeyEvent; 2] {
    let key = |kind, text: Option<&str>| Input::DispatchKeyEvent {
        Type: kind,
        modifiers: None,
        timestamp: None,
        text: text.map(str::to_owned),
        unmodified_text: text.map(str::to_owned),
        key_identifier: None,
        code: Some("Enter".into()),
        key: Some("Enter".into()),
        windows_virtual_key_code: Some(13),
        native_virtual_key_code: Some(13),
        auto_repeat: None,
        is_keypad: None,
        is_system_key: None,
        location: None,
        commands: None,
    };
    [key(Input::DispatchKeyEventTypeOption::KeyDown, Some("\r")), key(Input::DispatchKeyEventTypeOption::KeyUp, None)]
}

/// A platform authenticator whose user is always present and verified.
pub(super) fn authenticator() -> WebAuthn::AddVirtualAuthenticator {
    WebAuthn::AddVirtualAuthenticator {
        options: WebAuthn::VirtualAuthenticatorOptions {
            protocol: WebAuthn::AuthenticatorProtocol::Ctap2,
            ctap_2_version: None,
            transport: WebAuthn::AuthenticatorTransport::Internal,
            has_resident_key: Some(true),
            has_user_verification: Some(true),
            has_large_blob: None,
            has_cred_blob: None,
            has_min_pin_length: None,
            has_prf: None,
            automatic_presence_simulation: Some(true),
            is_user_verified: Some(true),
            default_backup_eligibility: None,
            default_backup_state: None,
        },
    }
}

/// A passkey for the authenticator. The protocol wants base64 (not base64url).
pub(super) fn credential(authenticator_id: String, passkey: &Passkey) -> WebAuthn::AddCredential {
    let plain = |text: &str| {
        URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).map_or_else(|_| text.to_owned(), |raw| STANDARD.encode(raw))
    };
    WebAuthn::AddCredential {
        authenticator_id,
        credential: WebAuthn::Credential {
            credential_id: plain(&passkey.credential_id),
            is_resident_credential: true,
            rp_id: Some(passkey.rp_id.clone()),
            private_key: passkey.private_key.clone(),
            user_handle: Some(plain(&passkey.user_handle)),
            sign_count: passkey.sign_count,
            large_blob: None,
            backup_eligibility: None,
            backup_state: None,
            user_name: None,
            user_display_name: None,
        },
    }
}
