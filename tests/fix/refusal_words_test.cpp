// Goal: a venue that refuses the credentials is not asked until it locks the account, one that is
// closed is asked again. Method: texts as venues write them.
#include "gateway/fix/session/refusal_words.h"

#include <gtest/gtest.h>

namespace millrace::fix {
namespace {

TEST(FixRefusalWords, NameCredentialsWhicheverWayTheyAreWrong) {
    for (const char* text :
         {"Invalid Password", "invalid user name or password", "Unknown SenderCompID DESK",
          "Authentication failed", "Account locked", "your account is disabled",
          "User has no permission to log on", "user not authorised", "USER NOT AUTHORIZED",
          "password expired, not usable until it is changed", "Bad credentials"}) {
        EXPECT_TRUE(speaks_of_credentials(text)) << text;
    }
}

// Five of these in a row would end an account's dialling for good.
TEST(FixRefusalWords, AreNotThoseOfAVenueThatIsClosedForAWhile) {
    for (const char* text :
         {"", "not today", "session disabled until 22:00", "Trading session is disabled",
          "gateway locked for maintenance", "authentication service unavailable",
          "logons not authorised at the weekend", "MsgSeqNum too low, expecting 12 but received 3",
          "no permission to trade now", "logins are disabled until Sunday 22:05"}) {
        EXPECT_FALSE(speaks_of_credentials(text)) << text;
    }
}

}  // namespace
}  // namespace millrace::fix
