/* Error codes as text: both tables come from RD_ERR_LIST. */
#include "base/err.h"

#define RD_ERR_NAME(name, text) #name,
#define RD_ERR_TEXT(name, text) text,

static const char *const names[] = {RD_ERR_LIST(RD_ERR_NAME)};
static const char *const texts[] = {RD_ERR_LIST(RD_ERR_TEXT)};

const char *rd_err_text(enum rd_err err) {
    return (unsigned)err < RD_ERR_COUNT ? texts[err] : "unknown error";
}

const char *rd_err_name(enum rd_err err) {
    return (unsigned)err < RD_ERR_COUNT ? names[err] : "RD_E?";
}
