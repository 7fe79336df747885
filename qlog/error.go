package qlog

import "strconv"

// transportErrors are the $TransportError names, by code (RFC 9000, section 20.1).
var transportErrors = [...]string{
	"no_error", "internal_error", "connection_refused", "flow_control_error", "stream_limit_error",
	"stream_state_error", "final_size_error", "frame_encoding_error", "transport_parameter_error",
	"connection_id_limit_error", "protocol_violation", "invalid_token", "application_error",
	"crypto_buffer_exceeded", "key_update_error", "aead_limit_reached", "no_viable_path",
}

// http3Errors are the HTTP3ApplicationError names, by code from 0x100 (RFC 9114, section 8.1). The draft has
// "http_early_response" where the RFC has H3_MESSAGE_ERROR; that name is older than the RFC, and is not used here.
var http3Errors = [...]string{
	"http_no_error", "http_general_protocol_error", "http_internal_error", "http_stream_creation_error",
	"http_closed_critical_stream", "http_frame_unexpected", "http_frame_error", "http_excessive_load",
	"http_id_error", "http_settings_error", "http_missing_settings", "http_request_rejected",
	"http_request_cancelled", "http_request_incomplete", "http_message_error", "http_connect_error",
	"http_version_fallback",
}

// transportError writes a transport error under the given key: its name, or "unknown" and the number beside it.
func (e *encoder) transportError(k string, code uint64) {
	switch {
	case code < uint64(len(transportErrors)):
		e.text(k, transportErrors[code])
	case 0x100 <= code && code <= 0x1ff: // "all strings from "crypto_error_0x100" to "crypto_error_0x1ff""
		e.key(k)
		e.b = append(e.b, `"crypto_error_0x`...)
		e.b = strconv.AppendUint(e.b, code, 16)
		e.b = append(e.b, '"')
	default:
		e.text(k, "unknown")
		e.uint("error_code", code)
	}
}

// applicationError writes an application's error under the given key. QUIC has no names for those; HTTP/3 does.
func (t *Trace) applicationError(k string, code uint64) {
	e := &t.e
	if i := code - 0x100; t.h3 && i < uint64(len(http3Errors)) {
		e.text(k, http3Errors[i])
		return
	}
	e.text(k, "unknown")
	e.uint("error_code", code)
}
