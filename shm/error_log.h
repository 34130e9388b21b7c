// What the distinct-error log says of itself. Segment::report_error() keeps the errors.
#pragma once

#include <string_view>

namespace millrace {

/// Text of the log's last entry, of stage "error log": its count is how often an error found no
/// room. Some room is kept from the stages that strangers talk to (ingress, broker, rtss), except
/// for what begins with "ALERT".
inline constexpr std::string_view kErrorsNotKept = "the log is full: other errors are not kept";

}  // namespace millrace
