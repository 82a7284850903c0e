package audit

import "strings"

// Cell makes a text safe as a cell of CSV: spreadsheets take one that begins with =, +,
// -, @, a tab or a line break for a formula (https://owasp.org/www-community/attacks/CSV_Injection).
// An apostrophe before it makes it text; numbers stay.
func Cell(s string) string {
	if s == "" || !strings.ContainsRune("=+-@\t\r\n", rune(s[0])) || negative(s) {
		return s
	}
	return "'" + s
}

// negative reports whether s is a negative number.
func negative(s string) bool {
	return len(s) > 1 && s[0] == '-' && strings.Trim(s[1:], "0123456789") == ""
}
