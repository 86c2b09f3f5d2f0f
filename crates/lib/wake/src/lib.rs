//! Wake-ups through Redis: losing them loses nothing
