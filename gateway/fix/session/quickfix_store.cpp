// QuickFIX asks a Store for its numbers; the session's own sequence file has them.
#include "gateway/fix/session/quickfix_session.h"

namespace millrace {
namespace fix {

int Store::getNextSenderMsgSeqNum() const throw(FIX::IOException) {
    return static_cast<int>(owner_.sender());
}
int Store::getNextTargetMsgSeqNum() const throw(FIX::IOException) {
    return static_cast<int>(owner_.target());
}
void Store::setNextSenderMsgSeqNum(int next) throw(FIX::IOException) {
    owner_.set_sender(static_cast<std::uint32_t>(next));
}
void Store::setNextTargetMsgSeqNum(int next) throw(FIX::IOException) {
    owner_.set_target(static_cast<std::uint32_t>(next));
}

}  // namespace fix
}  // namespace millrace
