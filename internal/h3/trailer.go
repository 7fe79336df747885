package h3

// TrailerFields validates a trailer section, of a request or a response, while its fields stream in: Add for each, then
// Done.
type TrailerFields struct {
	// Field receives each field that passed, in order, with its name in lower case. Fields that could change what the
	// header section said about framing or routing are dropped: content-length, host and trailer (RFC 9110, section
	// 6.5.1). nil: fields are checked and dropped.
	Field func(name, value string)

	rules fieldRules
}

// Add judges the next field. The error is an *Error of the stream, H3_MESSAGE_ERROR.
func (r *TrailerFields) Add(name, value string) error {
	// "Pseudo-header fields MUST NOT appear in trailer sections" (RFC 9114, section 4.3).
	if isPseudo(name) {
		return errPseudoTrailer
	}
	if err := r.rules.check(name, value); err != nil {
		return err
	}
	switch name {
	case "te":
		return errConnectionField
	case "content-length", "host", "trailer":
		return nil
	}
	if r.Field != nil {
		r.Field(name, value)
	}
	return nil
}

// Done judges the section as a whole. No field is mandatory in it, so it has no error to report; it is here so that the
// three kinds of section are read alike.
func (r *TrailerFields) Done() error { return nil }
