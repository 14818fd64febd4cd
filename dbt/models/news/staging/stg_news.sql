{{ staged_texts(source('news', 'raw'), key='story_id', text='text', label='desk', event_time='published_at') }}
